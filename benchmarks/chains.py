"""Faces made by people: how long until all pictures of a slider are there, and until a choice is on the disk.

Measured as the page does it: 21 pictures of the generator, encoded for the browser; every slider another face, so that nothing
comes from a cache. The first one, which compiles, is left out.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from core.sampling import named_slider
from core.sampling.images import encode_webp
from core.sampling.stored.gallery import load_gallery
from core.studies.chain_store import ChainStore
from core.studies.chains import FRAMES, ChainDesign, ChainStudy, SliderLatent

AIM_SECONDS = 1.0


@dataclass(frozen=True)
class Sizes:
    """runs: sliders that are drawn."""

    runs: int


FULL, QUICK = Sizes(10), Sizes(2)


def measure(sizes: Sizes) -> dict[str, Any]:
    """Seconds of each slider, and of each step in the store (SQLite)."""
    generator = "head"
    base = load_gallery(generator).bases[0].base_id
    latents = named_slider.choose_latents(generator)
    sliders = tuple(SliderLatent(latent.name, latent.lowest, latent.highest) for latent in latents)
    design = ChainDesign(sliders, (base,), generator, target="fear", chains=1, steps_each=sizes.runs + 1)
    drawn, worked, stored = [], [], []
    with tempfile.TemporaryDirectory(prefix="liminal-") as folder:
        store = ChainStore(f"sqlite:///{Path(folder) / 'chains.sqlite'}")
        store.create(ChainStudy("benchmark", design))
        person = store.enrol("benchmark")
        for _ in range(sizes.runs + 1):
            began = time.perf_counter()
            offered = store.next_step(person.code)
            assert offered is not None
            known, spent = time.perf_counter(), time.process_time()
            pictures = named_slider.draw_slider(generator, base, offered.values, offered.latent.name, offered.latent.values)
            frames = [encode_webp(picture, quick=True) for picture in pictures]
            ready = time.perf_counter()
            worked.append(time.process_time() - spent)
            store.choose(person.code, offered.chain, offered.iteration, FRAMES // 2)
            drawn.append(ready - known)
            stored.append(known - began + time.perf_counter() - ready)
        store.dispose()
    return {
        "frames": FRAMES,
        "slider_seconds": drawn[1:],
        "processor_seconds": worked[1:],
        "store_seconds": stored[1:],
        "kilobytes": sum(map(len, frames)) / 1000,
        "aim_seconds": AIM_SECONDS,
    }


def as_text(figures: dict[str, Any]) -> str:
    """The figures in words."""
    slider, store = median(figures["slider_seconds"]), median(figures["store_seconds"])
    worked = median(figures["processor_seconds"])
    return (
        f"A slider's {figures['frames']} pictures are there in {slider:.2f} s (median of {len(figures['slider_seconds'])}, slowest "
        f"{max(figures['slider_seconds']):.2f} s; aim {figures['aim_seconds']:g} s), {figures['kilobytes']:.0f} kB.\n"
        f"They take {worked:.2f} s of one core's time, which is shared among the cores that are free.\n"
        f"A choice is on the disk and the next step known in {1000 * store:.0f} ms (median, SQLite)."
    )

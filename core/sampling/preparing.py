"""Preparing an added model for the pages: what they show at once is worked out here, once, by the real networks.

A generator gets a gallery of bases, strangers judged by every built-in recogniser with calibrated thresholds, and a reference
population judged by every built-in classifier; then the added judges that were prepared look at its faces too. An added recogniser
or classifier looks at the faces of every generator that has some.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

from core.errors import LiminalError
from core.models import registry
from core.models.own import prepared
from core.progress import Progress
from core.sampling import own_gallery, own_judging, strangers, thresholds
from core.sampling.descriptors import METRICS
from core.sampling.emotion import reference
from core.writing import write_bytes

COUNT = 24
FEWEST_BASES = own_gallery.FEWEST
FEWEST_PEOPLE = 40
PEOPLE = 300
"""Strangers, and faces of the reference population: 300 make 44,850 pairs, enough for a limit that lets one in a thousand in."""
REFERENCE = 40
"""The fewest faces of a reference population."""
WALL = 240
JUDGES = ("recogniser", "classifier")
DONE = "prepared.json"


@dataclass(frozen=True)
class Prepared:
    """What there is now. ``skipped``: a sentence for every generator whose faces could not be judged."""

    name: str
    words: str
    skipped: tuple[str, ...] = ()


def is_prepared(name: str) -> bool:
    """Whether an added model was prepared to the end. Imports no torch."""
    return (prepared.folder(name) / DONE).is_file()


def needs_preparing(entry: registry.Entry) -> bool:
    """Whether pages have something to gain from preparing a model."""
    return entry.own is not None and entry.kind in ("generator", *JUDGES)


def prepare(name: str, *, count: int = COUNT, people: int = PEOPLE, seed: int = 0, progress: Progress | None = None) -> Prepared:
    """Work out what the pages need of an added model. Raises LiminalError where it needs nothing, or cannot give it."""
    progress = progress or Progress()
    entry = registry.entry(name)
    if not needs_preparing(entry):
        raise LiminalError(f"'{name}' needs no preparing; only generators, recognisers and classifiers that were added do.")
    if count < FEWEST_BASES or people < FEWEST_PEOPLE:
        raise LiminalError(f"At least {FEWEST_BASES} faces to choose from and {FEWEST_PEOPLE} other people are needed.")
    made = _generator(name, count, people, seed, progress) if entry.kind == "generator" else _judge(entry, people, progress)
    card = {"name": name, "count": count, "people": people, "seed": seed, "date": dt.datetime.now(dt.UTC).date().isoformat()}
    write_bytes(prepared.folder(name) / DONE, (json.dumps(card, indent=1) + "\n").encode())
    progress.stage("Done", 1.0)
    return made


def _generator(name: str, count: int, people: int, seed: int, progress: Progress) -> Prepared:
    gallery = own_gallery.build(name, count=count, seed=seed, progress=progress)
    folder = prepared.folder(name)
    strangers.build(name, count=people, wall=min(WALL, people), seed=seed, folder=folder / "strangers", progress=progress)
    skipped = []
    for recogniser in METRICS:
        try:
            thresholds.build(name, recogniser, folder=folder / "thresholds", strangers=folder / "strangers", progress=progress)
        except LiminalError as error:  # too few of the strangers have a face that it finds
            skipped.append(f"{recogniser} was not calibrated: {error}")
    reference.build(name, count=max(people, REFERENCE), seed=seed, folder=folder / "reference", progress=progress)
    for judge in registry.entries():
        if needs_preparing(judge) and judge.kind in JUDGES and is_prepared(judge.name):
            skipped += _look(judge, name, people, progress)
    words = f"{len(gallery.bases)} faces and {people} strangers of {name} are ready for the pages."
    return Prepared(name, words, tuple(skipped))


def _judge(entry: registry.Entry, people: int, progress: Progress) -> Prepared:
    known = [each.name for each in registry.entries() if each.kind == "generator" and (each.own is None or is_prepared(each.name))]
    skipped = [sentence for generator in known for sentence in _look(entry, generator, people, progress)]
    if len(skipped) == len(known):
        raise LiminalError(skipped[0])
    seen = len(known) - len(skipped)
    faces = f"{people} faces of {seen} generator{'s' if seen > 1 else ''}"
    return Prepared(entry.name, f"{entry.name} has judged {faces}; the pages can show what it says.", tuple(skipped))


def _look(judge: registry.Entry, generator: str, people: int, progress: Progress) -> list[str]:
    """One judge, the faces of one generator -> a sentence where that does not work."""
    work = own_judging.describe if judge.kind == "recogniser" else own_judging.ask
    try:
        work(judge.name, generator, people, progress)
    except LiminalError as error:
        return [str(error)]
    return []

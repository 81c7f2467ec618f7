"""Pictures of strangers that are made again from their seeds: not every stranger has a stored one."""

from __future__ import annotations

import streamlit as st

from core.progress import Progress
from ui import progress
from ui.jobs import job_for
from ui.kept import Kept

JOB = "stranger_job"


@st.cache_resource(show_spinner=False)
def kept_pictures() -> Kept:
    """WebP by (generator, seed)."""
    return Kept(512)


def made(generator: str, seed: int) -> bytes:
    """WebP of one stranger as it was judged."""
    import torch

    from core.models import registry
    from core.sampling.pictures import to_pictures
    from core.sampling.webp import encode_webp

    maker = registry.load(generator, "generator")
    with torch.inference_mode():
        return encode_webp(to_pictures(maker.decode(maker.sample([seed])))[0])


def picture(generator: str, seed: int) -> bytes | None:
    """The stranger's picture; while it is made, how far that is is shown instead and None comes back."""
    key = (generator, seed)
    found: bytes | None = kept_pictures().get(key)
    if found is not None:
        return found

    def work(told: Progress) -> bytes:
        told.stage("Making the picture", 0.0)
        result: bytes = kept_pictures().once(key, lambda: made(generator, seed), told)
        return result

    job = job_for(f"{JOB}-{generator}-{seed}", key, "a stranger's picture", work)
    if not job.finished:
        progress.watch(job.id)
    elif job.status == "done":
        return bytes(job.result)
    else:
        progress.outcome(job)
    return None

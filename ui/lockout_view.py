"""The smallest change of looks that locks the owner out of the phone."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from core.models import registry
from core.progress import Progress
from core.sampling.semantic import LockoutSearch, smallest_lockout
from ui import caches, model_choice, progress, words
from ui.images import face_url
from ui.jobs import job_for
from ui.kept import Kept
from ui.owners import Owner

JOB = "lockout_job"

Question = tuple[str, str, str, float]
"""generator, recogniser, base, limit."""


@dataclass(frozen=True)
class Answer:
    """What the search found, and what every recogniser says of the changed face."""

    found: LockoutSearch
    distances: dict[str, float]


@st.cache_resource(show_spinner=False)
def kept_answers() -> Kept:
    """Answers by question."""
    return Kept(256)


def finder(question: Question, owner: Owner) -> Callable[[Progress], Answer]:
    """The work of a job: step along every named direction until the guard refuses."""
    generator, recogniser, _, limit = question
    latent = owner.latent
    assert latent is not None

    def make(progress: Progress) -> Answer:
        progress.stage("Loading the networks", 0.0)
        import torch

        from core.models.own.usable import usable
        from core.sampling.pictures import quantised, to_images

        maker = registry.load(generator, "generator")
        found = smallest_lockout(latent, maker, registry.load(recogniser, "recogniser"), limit, progress=progress)
        distances = {}
        if found.smallest is not None:
            with torch.inference_mode():
                before = quantised(maker.decode(torch.from_numpy(latent)[None]))
            after = to_images(found.smallest.picture[None])
            for name in usable("recogniser", recogniser):
                judge = registry.load(name, "recogniser")
                distances[name] = float(judge.distance(judge.embed(before), judge.embed(after))[0])
        return Answer(found, distances)

    def work(progress: Progress) -> Answer:
        answer: Answer = kept_answers().once(question, lambda: make(progress), progress)
        return answer

    return work


def show(generator: str, recogniser: str, owner: Owner, limit: float) -> None:
    """The owner beside the face that is refused; while it is looked for, how far that is."""
    st.header("The smallest change that is refused", anchor=False)
    if not model_choice.has_looks(generator):
        title = registry.entry(generator).title
        st.html(
            words.lead(html.escape(f"Where {title} keeps a smile or glasses is not known, so that no such change can be tried."))
        )
        return
    question = (generator, recogniser, owner.identity, round(limit, 3))
    answer: Answer | None = kept_answers().get(question)
    if answer is not None:
        _show_answer(question, owner, answer)
        return
    job = job_for(JOB, question, "lock-out", finder(question, owner))
    if job.status == "done":  # others have pushed it out of what is kept for all
        _show_answer(question, owner, job.result)
        return
    if job.finished:
        progress.outcome(job)
        return
    progress.watch(job.id)


def _show_answer(question: Question, owner: Owner, answer: Answer) -> None:
    generator, recogniser, _, limit = question
    found = answer.found
    tried = len({each.label for each in found.swept})
    if found.smallest is None:
        st.html(words.lead(f"None of {tried} changes of looks, up to a large one, locks the owner out at this limit."))
        return
    step = found.smallest.step
    rows = [
        words.Opinion(
            registry.entry(name).title,
            distance,
            limit if name == recogniser else caches.stored_thresholds(generator, name).default,
        )
        for name, distance in answer.distances.items()
    ]
    st.html(
        words.pair((owner.src, "The owner"), (face_url(found.smallest.picture), f"The owner, {step.words}")) + words.opinions(rows)
    )
    st.html(
        words.fine(
            f"The least of {tried} changes of looks (six kinds, each way): {step.words}, by {step.step:.2f}. Two random people are "
            f"about 1.4 apart on that scale."
        )
    )

"""What is said of a study on its owner's pages."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from ui.words import sample_title

if TYPE_CHECKING:
    from core.studies.study import Kind, Stimulus, Study

KINDS: dict[Kind, str] = {"identity": "the same person?", "emotion": "which feeling?"}
ANSWERS = {"1": "the same person", "0": "two people"}


def many(number: int, one: str, more: str | None = None) -> str:
    """'1 face', '1,200 faces'."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def source(study: Study) -> str:
    """Where a study's answers come from: human, simulated, model, or published where they were brought in from elsewhere."""
    return "published" if study.published and study.source == "human" else study.source


def badges(study: Study) -> str:
    """Kind, source and whether it is open, as HTML."""
    told = [("kind", KINDS[study.plan.kind])]
    named = {"human": "people", "simulated": "simulated", "model": "a model", "published": "brought in"}
    told.append((source(study), named[source(study)]))
    if study.closed and source(study) == "human":
        told.append(("closed", "closed"))
    marks = "".join(f'<span data-mark="{mark}">{html.escape(text)}</span>' for mark, text in told)
    return f'<div class="badges">{marks}</div>'


def counted(study: Study, people: int, answers: int) -> str:
    """How many took part."""
    if study.published and not answers:
        return "Published means; single answers are not known."
    if not answers:
        return "Nobody has answered yet."
    who = many(people, "simulated observer") if study.source == "simulated" else many(people, "person", "people")
    return f"{who}, {many(answers, 'answer')}"


def plain_label(text: str) -> str:
    """A name as it is, where Markdown would be read."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~:$])", r"\\\1", text)


def stimulus(shown: Stimulus) -> str:
    """What a stimulus is."""
    details = shown.details
    if shown.is_sentinel:
        return "attention check"
    if details.get("emotion1"):
        return f"{details['emotion1']} or {details['emotion2']}"
    step = details.get("step")
    try:
        return sample_title(shown.sample_type, float("nan") if step is None else float(step))
    except KeyError:  # brought in, with a type of its own
        return shown.sample_type.replace("_", " ")

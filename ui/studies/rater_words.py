"""What a rater reads about a study: what it is, how long it takes, how a trial goes."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from ui import caches
from ui.images import asset_url
from ui.state import GENERATOR

if TYPE_CHECKING:
    from core.studies.study import Plan

SECONDS = {"emotion": 2.2, "identity": 8.0}
"""A trial takes about so long, with its breaks (paper B reports reaction times of 0.5 to 1.5 s)."""


def what_it_is(plan: Plan) -> str:
    """One sentence."""
    if plan.kind == "emotion":
        return "Faces appear for a moment, and you say which feeling you saw. No face here belongs to a real person."
    return "You see two faces at a time and say how alike they are, and whether they show the same person. None belongs to anybody."


def minutes(plan: Plan) -> int:
    """About how long it takes."""
    return max(1, round((plan.trials + plan.sentinels) * SECONDS[plan.kind] / 60))


def facts(plan: Plan) -> str:
    """What to expect, as three short facts in HTML."""
    total = plan.trials + plan.sentinels
    long = minutes(plan)
    each = "face" if plan.kind == "emotion" else "pair"
    told = (
        f"about {long} {'minute' if long == 1 else 'minutes'}",
        f"{total:,} {each if total == 1 else each + 's'}",
        "no name, no account",
        "leave and come back",
    )
    return f'<ul class="facts">{"".join(f"<li>{html.escape(fact)}</li>" for fact in told)}</ul>'


def instructions(plan: Plan) -> str:
    """The trial in pictures, as HTML; the example's faces are not part of any study."""
    faces = _example_faces()
    if plan.kind == "emotion":
        buttons = "".join(f"<span>{html.escape(emotion)}</span>" for emotion in EMOTIONS)
        steps = [
            ('<div class="step-box"><b class="step-cross">+</b></div>', "A cross: look at it."),
            (
                f'<div class="step-box">{_picture(faces, 0)}</div>',
                f"A face, for {plan.image_ms / 1000:g} seconds." if plan.image_ms else "A face.",
            ),
            (f'<div class="step-box step-buttons">{buttons}</div>', "Which feeling was it? Choose the nearest."),
        ]
        advice = "There is no right or wrong. It is quick on purpose: go by your first impression. The words wait for you."
    else:
        steps = [
            (f'<div class="step-box step-pair">{_picture(faces, 0)}{_picture(faces, 1)}</div>', "Two faces, as long as you like."),
            (
                '<div class="step-box step-slider"><i></i><small><span>not alike</span><span>exactly alike</span></small></div>',
                "How alike are they? Move the slider.",
            ),
            ('<div class="step-box step-buttons step-two"><span>Yes</span><span>No</span></div>', "Do they show the same person?"),
        ]
        advice = "There is no right or wrong: some pairs are one person, some are not, and some lie between. Your own view counts."
    shown = "".join(f"<li>{picture}<p>{html.escape(text)}</p></li>" for picture, text in steps)
    return f'<ol class="steps">{shown}</ol><p class="lead">{html.escape(advice)}</p>'


def _example_faces() -> list[str]:
    try:
        bases = caches.stored_gallery(GENERATOR).bases
    except LiminalError:
        return []
    return [asset_url(base.image) for base in bases[:2]]


def _picture(faces: list[str], place: int) -> str:
    return f'<img src="{html.escape(faces[place])}" alt="An example face">' if place < len(faces) else ""

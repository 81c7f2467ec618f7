"""A visitor against the crowd: in words first, each with its interval; with few answers only that they are too few."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import streamlit as st

from core.analysis.boundary import Estimate
from ui.analysis.figure_card import card
from ui.words import facts, fine, lead, percent

if TYPE_CHECKING:
    from core.alignment.profile import Profile, RunningScore
    from ui.alignment.visitor import Visitor
    from ui.analysis.material import Chosen


def show(chosen: Chosen, you: Visitor) -> None:
    """The profile, or that it is too early for one."""
    from core.alignment.profile import FEWEST, profile, scored
    from core.figures.exhibits.alignment import leanings
    from core.figures.exhibits.exhibit import file_name

    st.header("You and the crowd", anchor="you-profile")
    simulated = chosen.material.source == "simulated"
    source = "people and simulated" if simulated else "people"
    if you.n < FEWEST:
        st.html(lead(f"{you.n} answers are too few to say anything of you; {FEWEST - you.n} more, and there is a profile."))
        st.html(running(you))
        return
    found = profile("you", you.group, you.said, you.prior, source=source)
    score = scored("you", you.own, you.group, you.said, source=source)
    crowd = "simulated observers" if simulated else "people"
    if simulated:
        st.html(fine("This crowd is simulated: nobody was asked, so that where you part from it says nothing of other people."))
    st.html(facts([_guessed(you, score), *_sentences(found, crowd)]))
    card(leanings(found, crowd), "you-leanings", name=file_name("you", "profile"))
    st.html(
        fine(
            f"From {you.n} answers. They describe how you answered about generated faces today, and are no test of you; a second "
            "round would give somewhat other numbers, as the intervals say."
        )
    )


def running(you: Visitor) -> str:
    """The score so far as HTML."""
    own, group = you.score()
    few = "" if you.n >= 30 else " Too few to tell who is better."
    return fine(f"Guessed right so far: {own} of {you.n} from your answers before; {group} of {you.n} by everybody’s model.{few}")


def _guessed(you: Visitor, score: RunningScore) -> tuple[str, str]:
    own, group = you.score()
    gain = score.gain
    between = f"{gain.value:+.2f} bits an answer, {gain.low:+.2f} to {gain.high:+.2f}"
    if gain.low > 0:
        verdict = f"Your own model is clearly less surprised by you ({between})."
    elif gain.high < 0:
        verdict = f"Everybody’s model is still less surprised by you ({between})."
    else:
        verdict = f"Which of the two knows you better cannot be told yet ({between})."
    return percent(own / you.n), (
        f"of your {you.n} answers were guessed before you gave them, from your earlier ones; everybody’s model had "
        f"{percent(group / you.n)}. {verdict}"
    )


def _sentences(found: Profile, crowd: str) -> list[tuple[str, str]]:
    """What departs from the crowd, or that nothing does; then sensitivity and slips."""
    told = []
    for name in found.departs:
        each = found.bias[name]
        words = f"as often as the crowd you say {name} where a face is unclear ({_range(each)})."
        told.append((f"{_times(each.value)}×", words))
    if not told:
        told.append(("Even", f"No feeling stands out: where a face is unclear you lean as the {crowd} do, as far as can be told."))
    s = found.sensitivity
    if s.low > 1:
        how = "You tell these faces apart more sharply than the crowd’s model does"
    elif s.high < 1:
        how = "You tell these faces apart less sharply than the crowd’s model does"
    else:
        how = "You tell these faces apart about as sharply as the crowd’s model does"
    told.append((f"{_times(s.value)}×", f"{how} ({_range(s)}; 1 is the same)."))
    lapse = found.lapse
    told.append(
        (
            percent(lapse.value),
            f"of your answers look like slips, given whatever the face was ({percent(lapse.low)} to {percent(lapse.high)}).",
        )
    )
    return told


def _times(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "–"


def _range(each: Estimate) -> str:
    return f"95 % interval {each.low:.2f} to {each.high:.2f}"

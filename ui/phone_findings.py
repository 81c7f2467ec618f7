"""What stands out in the crowd: who gets in without looking alike, what locks out, and what the other recogniser says."""

from __future__ import annotations

import streamlit as st

from core.models import registry
from ui import caches, double_view, findings, lockout_view, stranger_pictures, words
from ui.findings import Crowd
from ui.images import asset_url, picture_url
from ui.owners import Owner
from ui.state import PhoneState


def threshold_of(view: PhoneState) -> float:
    """The limit in force: the address's, else the recogniser's default."""
    limit = caches.stored_thresholds(view.generator, view.recogniser).default if view.threshold is None else view.threshold
    return round(limit, 3)  # as the slider has it


def opinions(view: PhoneState, people: Crowd, index: int) -> str:
    """What every recogniser says of a stranger, as HTML; the guard at the limit in force, the others at their own."""
    rows = []
    for name in [view.recogniser, *people.others]:
        limit = threshold_of(view) if name == view.recogniser else caches.stored_thresholds(view.generator, name).default
        rows.append(words.Opinion(registry.entry(name).title, float(people.distances[name][index]), limit))
    return words.opinions(rows)


def picture_of(view: PhoneState, people: Crowd, index: int) -> str | None:
    """Address of a stranger's picture: the stored one, else made again; None while it is made, which the page shows."""
    for face in people.strangers.wall:
        if face.index == index:
            return asset_url(face.image)
    made = stranger_pictures.picture(view.generator, int(people.strangers.seeds[index]))
    return None if made is None else picture_url(made)


def show_findings(view: PhoneState, owner: Owner) -> None:
    """What stands out: who gets in without looking alike, what locks the owner out, and whether the other recogniser agrees."""
    people = findings.crowd(caches.stored_strangers(view.generator, view.recogniser), owner, view.recogniser)
    limit = threshold_of(view)
    st.space("medium")
    left, right = st.columns(2, gap="large")
    with left:
        _show_least_alike(view, owner, people, limit)
    with right:
        if owner.is_photo:
            _show_agreement(view, people, limit)
        else:
            lockout_view.show(view.generator, view.recogniser, owner, limit)
    if owner.is_photo:
        double_view.show(view, owner, people, limit)
    else:
        _show_agreement(view, people, limit)


def _show_least_alike(view: PhoneState, owner: Owner, people: Crowd, limit: float) -> None:
    index = people.least_alike(limit)
    nobody = index is None
    st.header("Nobody gets in; this one came nearest" if nobody else "Gets in, and looks least like the owner", anchor=False)
    shown = people.nearest() if index is None else index
    name = "You" if owner.is_photo else "The owner"
    address = picture_of(view, people, shown)
    if address is None:
        return
    st.html(words.pair((owner.src, name), (address, "Stranger")) + opinions(view, people, shown))
    if people.others and not nobody:
        other = registry.entry(people.others[0]).title
        st.html(words.fine(f"Of all strangers let in, {other} finds this one least like {name.lower()}."))


def _show_agreement(view: PhoneState, people: Crowd, limit: float) -> None:
    inside = int(people.accepted(limit).sum())
    for other in people.others:
        title, guard = registry.entry(other).title, registry.entry(view.recogniser).title
        its_limit = caches.stored_thresholds(view.generator, other).default
        both, all_in = people.agreement(limit, other, its_limit)
        st.header(f"What would {title} say?", anchor=False)
        if inside == 0:
            sentence = f"{guard} lets nobody in. {title}, at its own limit of {its_limit:.2f}, would let {all_in:,} strangers in."
        else:
            share = "all" if both == inside else "none" if both == 0 else f"{both:,}"
            sentence = (
                f"Of the {inside:,} strangers that {guard} lets in, {title} would let {share} in as well. At its own limit of "
                f"{its_limit:.2f} it lets {all_in or 'nobody'} in altogether."
            )
        st.html(words.lead(sentence))

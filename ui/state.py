"""What a page shows, as frozen values built on each run from its address: every view has a link that brings it back.

Choices made in Streamlit's widgets are bound to the address (``bind="query-params"``); those made in our own components are
written there by their callbacks. A value in an address that means nothing is replaced by the default, never an error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import streamlit as st

from core.models import registry
from core.sampling.configuration import Strategy

if TYPE_CHECKING:
    from core.models.contracts import Kind

GENERATOR = "dcgan-sharp"
"""The generator where people look."""


@dataclass(frozen=True)
class PhoneState:
    """Who could unlock my phone: whose it is, who guards it, and how strictly (None: the recogniser's default)."""

    base: str | None
    generator: str
    recogniser: str
    threshold: float | None
    stranger: int | None


@dataclass(frozen=True)
class IdentityState:
    """Identity samples: the base, the seed of everything that is drawn, the models, and the sample that is looked at."""

    base: str | None
    seed: int | None
    sample: str | None
    generator: str
    recogniser: str
    strategy: Strategy
    rounds: int
    looks: bool


def read_number(name: str, low: float, high: float) -> float | None:
    """A number of the address within bounds, else None."""
    try:
        value = float(st.query_params.get(name, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and low <= value <= high else None


def read_whole(name: str, low: int, high: int) -> int | None:
    """A whole number of the address within bounds, else None."""
    try:
        value = int(st.query_params.get(name, ""))
    except ValueError:
        return None
    return value if low <= value <= high else None


def model_choices() -> tuple[str, str]:
    """Widgets for generator and recogniser, by the registry's names -> their values.

    Names are shown as they are, with the title below: what stands in a bound address is what a widget shows.
    """
    chosen = []
    for label, kind, default in (
        ("Where the faces come from", "generator", GENERATOR),
        ("Who guards the phone", "recogniser", registry.names("recogniser")[0]),
    ):
        names = registry.names(cast("Kind", kind))
        titles = [registry.entry(name).title for name in names]
        chosen.append(st.radio(label, names, index=names.index(default), captions=titles, key=kind, bind="query-params") or default)
    return chosen[0], chosen[1]

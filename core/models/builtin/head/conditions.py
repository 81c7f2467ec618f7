"""By what error rates on heads are told apart: how far a head is turned, where the light comes from, what is worn, and others."""

from __future__ import annotations

from core.models.builtin.head.latents import FEELINGS, LATENTS, block
from core.models.contracts import PairCondition

BEARD = ("beard", "moustache_share", "chin_beard_share", "cheek_beard_share", "beard_length")
"""Latents of the identity block that one person changes from day to day."""

MAKE_UP = ("lipstick", "eye_shadow", "eye_liner", "blush")

WORN = (*(latent.name for latent in LATENTS[block("accessories")]), *BEARD)
"""Everything that is put on, taken off, painted or shaved."""


def _degrees(name: str, latent: str, first: int, second: int) -> PairCondition:
    """The larger angle of the two pictures in three levels."""
    levels = (f"under {first} degrees", f"{first} to {second} degrees", f"over {second} degrees")
    return PairCondition(name, (latent,), "extreme", (first, second), levels, alone=True)


CONDITIONS = (
    PairCondition("worn", WORN, "change", (1e-9,), ("nothing changed", "glasses, hat, make-up or beard drawn anew")),
    _degrees("head turned", "head_turn", 10, 20),
    _degrees("head nodded", "head_nod", 6, 12),
    _degrees("light from the side", "light_side", 30, 60),
    PairCondition("expression", FEELINGS, "extreme", (0.3, 0.7), ("calm, under 0.3", "0.3 to 0.7", "strong, over 0.7"), alone=True),
    PairCondition("glasses", ("glasses",), "presence", (), ("in neither picture", "in both", "in one of the two")),
    PairCondition("hat", ("hat",), "presence", (), ("in neither picture", "in both", "in one of the two")),
    PairCondition("make-up", MAKE_UP, "change", (0.25,), ("as before", "changed by over 0.25")),
    PairCondition("beard", ("beard",), "change", (0.25,), ("as before", "changed by over 0.25")),
    PairCondition("age", ("age",), "person", (35, 55), ("18 to 35 years", "35 to 55", "55 to 80")),
)
"""Angles and strengths are the larger ones of the two pictures."""

"""Deleting a person, or a study, with everything that was learned from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.alignment import kept

if TYPE_CHECKING:
    from core.studies.store import Deletion, Store


def forget_rater(store: Store, study: str, rater: str, reason: str = "") -> Deletion:
    """Delete a person's answers and the models that learned from them; raises what ``Store.forget`` raises.

    The group's models learned from these answers too: each alignment that this person was part of goes.
    """
    deletion = store.forget(study, rater, reason)
    kept.forget(study, rater)
    return deletion


def delete_study(store: Store, study: str, reason: str = "") -> None:
    """Delete a study and the models that learned from it; raises what ``Store.delete`` raises."""
    store.delete(study, reason)
    kept.forget(study)

"""Networks and scores. The contracts are in ``contracts``; models are found by name through ``registry``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.models.checking import AnyModel, CheckReport


def check(model: AnyModel) -> CheckReport:
    """Does a model keep its contract? Whoever adds one runs this. Torch is imported here, not with the package."""
    from core.models import checking

    return checking.check_model(model)

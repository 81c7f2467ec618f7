"""Networks and scores. The contracts are in ``contracts``; models are found by name through ``registry``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.models.checking import AnyModel, CheckReport


def check(model: AnyModel) -> CheckReport:
    """Check a model against its contract. Whoever adds one runs this."""
    from core.models import checking  # its modules import this package

    return checking.check_model(model)

"""A data folder of one's own and a background in which nobody works, as for the pages' own tests."""

import pytest

from tests.ui.conftest import idle, place
from ui.jobs import get_job_manager

__all__ = ["idle", "place"]


@pytest.fixture
def never(idle):
    """Work that a page hands to the background is never begun: the server takes up what is left when ``idle`` is over."""
    yield
    get_job_manager().close()

"""A store on each database: SQLite and PostgreSQL."""

import pytest

from core.studies.store import Store
from tests.databases import new_postgresql, postgresql  # noqa: F401


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    """The address of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ratings.sqlite'}"
    return request.getfixturevalue("new_postgresql")


@pytest.fixture
def store(store_url):
    """An open store, once on each database."""
    opened = Store(store_url)
    yield opened
    opened.dispose()

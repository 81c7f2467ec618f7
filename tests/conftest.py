"""Imported before any test module: core sets OpenMP up, which must happen before torch is loaded.

How much is gone through: with ``FULL=1`` every corpus of broken files, kills and made-up examples, a third of each otherwise
(``tests.sizes``). How work is shared out: the tests of a file stay together, since they share what they prepare, and files with a
browser go first, so that none of them is what everybody waits for at the end.
"""

import sys

import hypothesis
import pytest

import core  # noqa: F401
from core.models import registry
from tests.sizes import share

hypothesis.settings.register_profile("sized", max_examples=share(100), deadline=None)
hypothesis.settings.load_profile("sized")

SLOW_FIRST = {"chromium", "open_page", "server", "target", "two_workers", "trained"}
"""Fixtures whose files take longest."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    slow = {item.path for item in items if SLOW_FIRST & set(getattr(item, "fixturenames", ()))}
    items.sort(key=lambda item: item.path not in slow)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture(autouse=True, scope="module")
def small_default_generator(request):
    """Tests that need no particular face use 64 pixels; those of pages keep the generators that visitors get."""
    with pytest.MonkeyPatch.context() as patch:
        if not {"ui", "security", "compatibility", "load"} & set(request.path.parts):
            patch.setattr(registry, "DEFAULT_GENERATORS", dict.fromkeys(registry.DEFAULT_GENERATORS, "dcgan"))
        yield


@pytest.fixture(autouse=True)
def keep_main_module():
    """AppTest leaves the page that it ran as the main module, which a child process of a later test would run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main

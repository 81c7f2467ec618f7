"""Imported before any test module: core sets OpenMP up, which must happen before torch is loaded.

How much is gone through: with ``FULL=1`` every corpus of broken files, kills and made-up examples, a third of each otherwise
(``tests.sizes``). How work is shared out: the tests of a file stay together, since they share what they prepare, as do those of one
server; these, files with a browser and those of pages go first, so that none of them is what everybody waits for at the end.
"""

import os
import sys

import hypothesis
import pytest

os.environ.setdefault("MKL_NUM_THREADS", "1")  # torch's threads: on two, small networks take a fifth more of the processor's time
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's: a fork, as Ray's, waits for them and can hang there

import core  # noqa: F401
from core.models import registry
from tests.sizes import share

hypothesis.settings.register_profile("sized", max_examples=share(100), deadline=None)
hypothesis.settings.load_profile("sized")

SERVERS = ("server", "asking")
"""Fixtures of a session whose files stay together, so that each is made once."""
SLOW_FIRST = (*SERVERS, "chromium", "open_page", "target", "two_workers", "trained")
"""Fixtures whose files take longest."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    first = {}
    for item in items:
        used = [place for place, name in enumerate(SLOW_FIRST) if name in getattr(item, "fixturenames", ())]
        first[item.path] = min([first.get(item.path, len(SLOW_FIRST)), *used])
    groups = {path: SERVERS[place] if place < len(SERVERS) else str(path) for path, place in first.items()}
    items.sort(key=lambda item: (first[item.path], "ui" not in item.path.parts))
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(groups[item.path]))


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

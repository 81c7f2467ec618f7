"""How long work tells how far it is."""

import pytest

from core.errors import Cancelled
from core.progress import Progress, Stage


def test_a_part_moves_its_stages_to_its_place_and_passes_everything_else_on():
    heard = []
    whole = Progress(heard.append)
    part = whole.part("Pair 2 of 4", 1, 4)
    part.stage("half", 0.5)
    part.emit("a picture")
    assert heard == [Stage("Pair 2 of 4: half", 0.375), "a picture"]
    whole.cancel.set()
    with pytest.raises(Cancelled):
        part.check()


def test_a_part_of_work_that_nobody_listens_to():
    Progress().part("Pair 1 of 1", 0, 1).stage("half", 0.5)

"""The table of threats names tests that are there."""

import re
from pathlib import Path

import pytest

from core.errors import MAX_MESSAGE_LENGTH, LiminalError
from core.studies.study import RatingPlan, Study

ROOT = Path(__file__).resolve().parents[2]


def test_every_threat_has_a_test_that_is_there():
    rows = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, row[:80]
        for file, name in named:
            assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u2028", "\x1b", "\x85", "\ud800", "\n"])
def test_names_that_turn_the_words_around_them_are_refused(sign):
    with pytest.raises(LiminalError, match="printable characters"):
        Study(f"a{sign}b", RatingPlan("identity", 5))
    assert Study("👩‍🚀 🏴󠁧󠁢󠁥󠁮󠁧󠁿 می‌خواهم", RatingPlan("identity", 5)).name == "👩‍🚀 🏴󠁧󠁢󠁥󠁮󠁧󠁿 می‌خواهم"


def test_a_sentence_stays_one_short_sentence_without_links():
    said = str(LiminalError(f"There is no '{'x' * 9000}'\nfor you![a](http://b)."))
    assert len(said) < MAX_MESSAGE_LENGTH
    assert "\n" not in said
    assert "](" not in said
    assert said.startswith("There is no 'xxx")
    assert said.endswith("for you![a] (http://b).")

"""Names, titles, consent, reasons and answers that are mark-up: every page shows them as text and loads nothing."""

import re
from datetime import UTC, datetime

import pytest

from tests.ui.study_sets import answer_all, faces, identity_set, made_study
from tests.ui.visits import app

EVIL = "<img src=x onerror=alert(1)>![p](http://evil.example/p.png)[q](javascript:alert(2))"
AS_HTML = ("html",)
LABELLED = ("button", "checkbox", "toggle")
AS_MARKDOWN = ("title", "header", "subheader", "markdown", "caption", "error", "warning", "info", "success", *LABELLED)
LOADS = re.compile(r"(?<!\\)!\[p(?<!\\)\]\(http|(?<![\\!])\[q(?<!\\)\]\(javascript")


def bodies(test, kinds):
    for kind in kinds:
        for each in test.get(kind):
            text = getattr(each, "label", None) if kind in LABELLED else getattr(each, "value", None)
            yield kind, str(text or getattr(each.proto, "body", ""))


def harmless(test):
    for kind, body in bodies(test, AS_HTML):
        assert "<img src=x" not in body, (kind, body[:600])
        assert "alert(1)>" not in body.replace("alert(1)&gt;", ""), (kind, body[:600])
    for kind, body in bodies(test, AS_MARKDOWN):
        assert not LOADS.search(body), (kind, body[:600])
    for each in test.get("markdown"):
        if each.proto.allow_html:
            assert "<img src=x" not in each.value, each.value[:600]


@pytest.fixture
def studies(place):
    store, library = place
    name = EVIL[:80].rstrip()
    assert "![p](http" in name
    asked = made_study(store, library, name, identity_set(8), title=EVIL, consent=EVIL)
    for number in range(3):
        answer_all(store, asked, lambda _: "1", f"{EVIL} {number}")
    gone = answer_all(store, asked, lambda _: "1", "gone")
    store.forget(name, gone.rater, EVIL)
    felt = made_study(store, library, EVIL[28:100], faces(), source="simulated", note=EVIL, title=EVIL, consent=EVIL)
    answer_all(store, felt, lambda _: "fear", EVIL)
    open_ = made_study(store, library, f"o {EVIL[:60]}", faces(7), title=EVIL, consent=EVIL)
    return store, asked, felt, open_


@pytest.mark.parametrize("page", ["studies", "disagreement", "statistics", "compare", "import_ratings"])
def test_pages_of_the_owner(studies, idle, page):
    _, asked, felt, _ = studies
    asked_for = [{"study": asked.name}, {"study": EVIL, "new": EVIL, "compare": "groups"}]
    for query in [*asked_for, *([{}, {"study": felt.name}, {"new": EVIL}] if page == "studies" else [])]:
        harmless(app(f"{page}.py", **query))


def test_what_raters_see(studies):
    store, asked, _, open_ = studies
    test = app("take_part.py", study=open_.token)
    harmless(test)
    assert any("&lt;img src=x" in body for _, body in bodies(test, AS_HTML)), "the owner's words are shown as they are"
    from core.studies.planning import assign_stimuli

    person = store.enrol(asked.name, assign_stimuli)
    store.update(person.code, consented_at=datetime.now(UTC), strategy=EVIL, demographics={"gender": EVIL})
    harmless(app("take_part.py", study=asked.token, code=person.code))
    harmless(app("take_part.py", study=EVIL, code=EVIL))


def test_the_report_that_is_sent(studies, tmp_path):
    from core.__main__ import main

    _, asked, _, _ = studies
    file = tmp_path / "report.html"
    assert main(["report", "--study", asked.name, "--html", str(file)]) == 0
    text = file.read_text()
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text

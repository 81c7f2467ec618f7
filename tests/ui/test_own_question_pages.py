"""Pages of analysis of studies with a question of their own, and of own pictures: figures, or one sentence why there are none."""

import numpy as np
import pytest

from tests.ui.study_sets import answer_all, identity_set, made_study, own_pictures
from tests.ui.visits import app, words
from ui.studies import access

LABELS = {"question": "labels", "labels": ("calm", "tense", "neutral")}
SCALE = {"question": "scale", "wording": "How calm?", "scale_low": "not at all", "scale_high": "very"}
OWN_ANSWERS = "People gave answers of this study's own"
NONSENSE = ("nan", "None", "Generated face", "nobody has answered", "wanted feelings", "– %")
CASES = {
    "scale of pairs": (lambda _: identity_set(5), SCALE, ("mean rating", "divided (points)", "votes")),
    "labels of own pairs": (lambda patch: own_pictures(patch, pairs=True), LABELS, ("most chosen", "divided (bits)", "votes")),
    "feelings of own pictures": (own_pictures, {}, ("most chosen", "divided (bits)", "votes")),
}


@pytest.fixture(params=CASES)
def asked(request, place, idle, monkeypatch):
    """A study that five people answered -> (study, the colours that people give the map)."""
    store, library = place
    make, question, colours = CASES[request.param]
    study = made_study(store, library, "Mine", make(monkeypatch), **question)
    random = np.random.default_rng(0)
    for _ in range(5):
        answer_all(store, study, lambda _: str(random.choice(study.plan.choices)))
    return study, [f"People: {name}" for name in colours]


def visit(page, **query):
    test = app(page, study="Mine", **query)
    said = words(test)
    assert not test.error
    assert not [word for word in NONSENSE if word in said], page
    return test, said


def test_every_page_shows_figures_or_says_in_a_sentence_what_it_cannot(asked):
    study, colours = asked
    own_question = study.plan.asks in ("labels", "scale")
    for page in ("you.py", "align.py") if own_question else ("you.py",):
        _, said = visit(page)
        assert (OWN_ANSWERS in said) == own_question
    _, said = visit("compare.py", compare="people")
    assert ("cannot be set side by side" if own_question else "Highest: '") in said
    _, said = visit("compare.py", compare="groups")
    assert "Highest: '" in said
    assert ("Mean rating, 1 (not at all) to 7 (very)" in said) == (study.plan.asks == "scale")
    _, said = visit("compare.py", compare="studies")
    assert "no other study with the same question" in said

    test, _ = visit("map.py")
    colour = next(each for each in test.selectbox if each.label == "Coloured by")
    assert [name for name in colour.options if name.startswith("People:")] == colours
    for name in colours:
        assert not colour.set_value(name).run().exception

    item = next(each for each in access.get_store().stimuli(study.name) if not each.is_sentinel).stimulus
    test, said = visit("disagreement.py", item=item)
    assert "n = 5 votes" in said if own_question else "5 votes" in said
    assert test.dataframe[0].value.shape[1] > 1  # the votes themselves stand beside their numbers
    test, said = visit("studies.py", stimulus=item)
    assert ("1 (not at all)" in said) == (study.plan.asks == "scale")

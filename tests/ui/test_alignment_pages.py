"""The pages of models that learn from people, with made-up networks: learning, what it brought, a visitor."""

import dataclasses
import json
import re
import time

import numpy as np
import pytest

from core.alignment import alignment as alignment_module
from core.alignment import parting_pairs
from core.models import registry
from core.models.emotions import EMOTIONS
from tests.ui.study_sets import answer_all, faces, identity_set, made_study
from tests.ui.taught import FACES, NETWORK, asked, begun
from tests.ui.visits import app, words
from ui import jobs
from ui.alignment import answers, runs, you_page
from ui.alignment import answers as visits
from ui.analysis.study_choice import load_study_choice


@pytest.fixture
def place(place, monkeypatch):
    """The data folder, with networks that read made-up vectors; what runs in the background ends with the test."""
    monkeypatch.setattr(runs, "begin_alignment", begun)
    monkeypatch.setattr(alignment_module, "begin_alignment", begun)  # where earlier runs are opened
    monkeypatch.setattr(runs, "PEOPLE_COUNTS", {"0": "nobody", "3": "3 people"})
    yield place
    jobs.get_job_manager().close()


def settled():
    """Wait for what is learned in the background, as somebody who looks at it: drawing the page meanwhile would only slow it."""
    while running := [job for job in list(jobs.get_job_manager()._jobs.values()) if not job.finished]:
        for job in running:
            jobs.get_job_manager().get(job.id)
        time.sleep(0.05)


def finished(test, text):
    """Run the page again until its job has brought ``text``."""
    for _ in range(20):
        if text in words(test):
            return test
        settled()
        test.run()
        assert not test.exception
    raise AssertionError(f"'{text}' never came: {words(test)[-600:]}")


def done(test, wanted="align-wanted"):
    """Run the page again until nothing is learned any more."""
    while wanted in test.session_state:
        settled()
        test.run()
        assert not test.exception


def taught(chosen, people=0):
    """An alignment that has learned."""
    alignment = runs.find_alignment(chosen, runs.DEFAULT_CONFIGURATION)
    from core.progress import Progress

    runs.make_learning_job((alignment,), (NETWORK,), people)(Progress())
    return alignment


# Align


def test_a_study_about_identity_and_one_with_few_answers_say_so(place):
    store, library = place
    made_study(store, library, "who", identity_set())
    assert "asks who it is" in words(app("you.py", study="who"))
    assert "are missing or all the same" in words(app("align.py", study="who"))
    asked(store, library, "few", people=2)
    assert "learning takes at least 200" in words(app("align.py", study="few"))


def test_learning_while_one_watches_and_a_link_that_brings_it_back(place):
    store, library = place
    asked(store, library)
    test = app("align.py", study="feelings", people="3")
    assert "are held out and never learned from" in words(test)
    assert "What it brought" not in words(test)
    test.button(key="learn").click().run()
    finished(test, "What it brought")
    done(test)
    said = words(finished(test, "points are added by a model of one's own"))
    assert f"It began with {registry.title(NETWORK)}, which reads " in said
    assert "held-out answers only" in said
    assert "shuffled answers" in said
    assert "Faces that it sees differently now" in said
    assert "plain faces, none of them from the study, it still names" in said
    again = app("align.py", study="feelings", people="3")
    assert "What it brought" in words(again)
    assert not [each for each in again.button if each.key == "learn"]
    assert "How it sees this face" not in words(again)


def test_a_stopped_run_says_so_and_what_there_was_stays(place, monkeypatch):
    store, library = place
    asked(store, library)

    def stopped(alignments, names, people):
        def work(progress):
            progress.cancel.set()
            progress.stage("never", 0.5)

        return work

    with monkeypatch.context() as patched:
        patched.setattr(runs, "make_learning_job", stopped)
        test = app("align.py", study="feelings")
        test.button(key="learn").click().run()
        finished(test, "What was learned so far is kept")
    test.button(key="learn").click().run()
    finished(test, "What it brought")


def test_an_earlier_run_of_other_choices_has_a_link(place):
    store, library = place
    chosen = load_study_choice(asked(store, library))
    alignment = taught(chosen, people=1)
    test = app("align.py", study="feelings", run=alignment.alignment_id, networks="tanh-cnn")
    assert f"An earlier run. Began with {registry.title(NETWORK)}, which reads " in words(test)
    assert "What it brought" in words(test)


def test_one_person_and_one_face_of_the_address(place):
    store, library = place
    chosen = load_study_choice(asked(store, library))
    alignment = taught(chosen, people=2)
    rater, item = alignment.people(NETWORK)[0], alignment.answers.images[0]
    test = app("align.py", study="feelings", people="0", whose=rater, item=item)
    assert f"The held-out answers of {rater}" in words(test)
    assert f"The model of {rater}" in words(test)
    assert "simulated: nobody was asked" in words(test)
    assert "Simulated observers, " in words(test)  # never "people" where nobody was asked


def test_the_same_people_learn_first_and_more_of_them_later(place):
    store, library = place
    alignment = runs.find_alignment(load_study_choice(asked(store, library)), runs.DEFAULT_CONFIGURATION)
    assert runs.choose_raters(alignment, 3) == runs.choose_raters(alignment, 5)[:3]
    assert set(runs.choose_raters(alignment, 99)) == set(alignment.split.eligible_raters)


# You


@pytest.fixture
def crowd(place):
    """A study whose crowd has a model -> (chosen, alignment)."""
    store, library = place
    chosen = load_study_choice(asked(store, library))
    return chosen, taught(chosen)


def someone(alignment, choose, n, *, informative=True):
    """A visitor who has answered n times as ``choose(stimulus)`` says."""
    you = visits.VisitorAnswers(alignment, NETWORK, visits._load_prior.__wrapped__("", NETWORK, alignment), informative)
    pictured = dict.fromkeys(alignment.answers.images, "/a.webp")
    for _ in range(n):
        open_now = you.question(pictured)
        you.answer({"number": you.n, "stimulus": open_now.stimulus, "emotion": choose(open_now.stimulus), "milliseconds": 5})
    return you


def leaning_to_fear(alignment):
    """Says fear wherever the crowd does not find it twenty times less likely than its first choice."""
    group = dict(zip(alignment.answers.images, alignment.group(NETWORK).images, strict=True))
    return lambda name: EMOTIONS[int((np.log(group[name]) + 3.0 * (np.array(EMOTIONS) == "fear")).argmax())]


def test_without_a_model_of_the_crowd_the_page_offers_to_make_one(place):
    store, library = place
    asked(store, library)
    test = app("you.py", study="feelings")
    assert "First a network has to learn" in words(test)
    test.button(key="you-learn-button").click().run()
    done(test, "you-learn")
    assert [each for each in test.toggle if each.key == "you-informative"]
    assert "First a network has to learn" not in words(test)


@pytest.mark.parametrize("page", ["you.py", "align.py"])
def test_a_study_that_cannot_be_learned_from_shuts_neither_you_nor_align(place, page):
    store, library = place
    asked(store, library)
    lone = made_study(store, library, "lone", faces(14))
    answer_all(store, lone, lambda _: "anger", rater="careless")
    assert app(page).selectbox(key="analysis-study").value == "feelings"
    chosen = app(page, study="lone")
    assert chosen.selectbox(key="analysis-study").value == "lone"
    assert "There are no answers to learn from" in words(chosen)
    if page == "you.py":
        assert "Compare yourself with “feelings”" in [link.proto.label for link in chosen.get("page_link")]
        assert chosen.expander[0].proto.expanded
    chosen.query_params.pop("study")
    assert chosen.run().selectbox(key="analysis-study").value == "feelings"


def test_a_guess_is_made_before_the_answer_and_an_answer_counts_once(crowd):
    _, alignment = crowd
    you = someone(alignment, lambda _: "fear", 3)
    pictured = dict.fromkeys(alignment.answers.images, "/a.webp")
    sealed = you.question(pictured)
    given = {"number": 3, "stimulus": sealed.stimulus, "emotion": "anger", "milliseconds": 5}
    you.answer({**given, "stimulus": "another"})
    you.answer({**given, "emotion": "boredom"})
    assert you.n == 3
    you.answer(given)
    you.answer(given)
    assert you.n == 4
    assert np.array_equal(you.answers[-1].own_guess, sealed.own_guess)
    assert len({each.stimulus for each in you.answers}) == 4


def test_who_leans_to_fear_is_found_out_and_few_answers_make_no_profile(crowd):
    _, alignment = crowd
    few, many = (someone(alignment, leaning_to_fear(alignment), n) for n in (12, 35))
    own, group = many.score()
    assert own > group
    key = (alignment.alignment_id, NETWORK)
    for you, expected in ((few, "12 answers are too few"), (many, "you say fear where a face is unclear")):
        you.target = you.n
        test = app("you.py", study="feelings")
        test.session_state[visits.VISITOR_SLOT] = {key: you}
        test.run()
        assert not test.exception
        assert expected in words(test)
    assert "slips" in words(test)
    shown = words(test)
    assert re.search(r"You saw \w+ where (most|many) simulated observers saw \w+: this face\.", shown)
    assert shown.index(": this face.") < shown.index("were guessed before you gave them")


def test_who_says_one_thing_throughout_is_guessed_soon_and_told_so(crowd):
    _, alignment = crowd
    for n, expected in ((10, "whatever the face showed"), (30, "A profile needs answers that follow the faces")):
        you = someone(alignment, lambda _: "anger", n, informative=False)
        own, group = you.score()
        assert own >= n - 5 > group
        test = app("you.py", study="feelings")
        test.session_state[visits.VISITOR_SLOT] = {(alignment.alignment_id, NETWORK): you}
        test.run()
        assert not test.exception
        assert f"{n} of {n}" in words(test)
        assert expected in words(test)
    assert "about as sharply" not in words(test)
    assert "Faces made for you" not in words(test)


def test_the_running_score_of_few_answers_draws_no_conclusion(crowd):
    _, alignment = crowd
    assert "Too few to tell" in you_page.score_html(someone(alignment, lambda _: "fear", 5))
    assert "Too few to tell" not in you_page.score_html(someone(alignment, lambda _: "fear", 30))


def test_answers_go_into_a_study_of_people_only_when_asked_to(place, crowd):
    store, library = place
    _, alignment = crowd
    you = someone(alignment, lambda _: "fear", 30, informative=False)
    you.target = 30
    test = app("you.py", study="feelings")
    test.session_state[visits.VISITOR_SLOT] = {(alignment.alignment_id, NETWORK): you}
    test.run()
    assert "this study takes none" in words(test)
    assert not [each for each in test.button if each.key == "you-keep"]
    real = made_study(store, library, "real", faces(FACES))
    assert store.ratings("real").empty
    rater = answers.hand_in_answers(real, you)
    kept = store.ratings("real")
    assert kept["rater"].unique().tolist() == [rater.rater]
    assert kept["stimulus"].tolist() == [each.stimulus for each in you.answers]
    assert (kept["source"] == "human").all()
    assert kept["presented"].str.contains("self-paced").all()


# Next question, a page that is gone


def test_the_address_of_the_next_question_leads_to_align_and_says_why(place):
    test = app("next_question.py", people="2", answers="10")
    assert "Networks that learn from people" in words(test)
    assert "*Next question* is gone" in words(test)
    assert test.query_params["from"] in ("next-question", ["next-question"])
    assert "is gone" not in words(app("align.py"))


# Two people


def test_two_named_people_and_the_faces_on_which_they_part(place):
    """p0 leans to surprise and p1 to fear: where the group is unsure, each is expected to say their own."""
    store, library = place
    study = asked(store, library)
    assert "Compare two people by name" not in words(app("disagreement.py", study="feelings"))
    test = app("disagreement.py", study="feelings", two="true", one="p0", other="p1")
    assert "First a network has to learn" in words(test)
    taught(load_study_choice(study))
    test = app("disagreement.py", study="feelings", two="true", one="p0", other="p1")
    assert "faces of the study it is not the same" in words(test)
    shown = next(each.proto.json for each in test.get("bidi_component") if "p0: " in each.proto.json)
    first = json.loads(shown)["groups"][0]["tiles"][0]
    assert (first["title"], first["words"]) == ("p0: surprise", "p1: fear")
    assert test.button(key="two-people-make")


def test_two_named_people_and_the_pairs_on_which_they_part(place, monkeypatch):
    """One takes nearly all pairs for one person, the other nearly none; new pairs are made by a press and lead to a study."""
    store, library = place
    pairs = identity_set(80)
    study = made_study(store, library, "pairs", pairs)
    random = np.random.default_rng(2)
    checks = {stimulus.stimulus for stimulus in store.stimuli("pairs") if stimulus.is_sentinel}
    for rater, share in {"lenient": 0.85, "strict": 0.15, "even": 0.5, "other": 0.5}.items():
        answer_all(store, study, lambda name, p=share: "1" if name in checks or random.random() < p else "0", rater=rater)
    made_for = []

    def made(model, table, *people, **options):
        made_for.append((people[:2], options["study"], options["count"]))
        return dataclasses.replace(pairs, manifest={**pairs.manifest, "controversial": facts(pairs, people[:2])})

    monkeypatch.setattr(parting_pairs, "generate_parting_pairs", made)
    test = app("disagreement.py", study="pairs", two="true", one="lenient", other="strict")
    assert "pairs they say opposite things" in words(test)
    test.button(key="two-people-make").click().run()
    settled()
    test.run()
    assert made_for == [(("lenient", "strict"), "pairs", 8)]
    assert "On 2 of 3 finished pairs" in words(test)
    assert test.button(key="ask-two-people")


def facts(pairs, people):
    """What a set of such pairs says of itself: three pairs, of which two part the people."""
    names = pairs.pairs["pair_id"].tolist()[1:4]
    records = [
        {"pair_id": name, people[0]: 0.8, people[1]: same, "score": 0.1} for name, same in zip(names, (0.2, 0.3, 0.6), strict=True)
    ]
    return {"people": list(people), "study": "pairs", "count": 3, "kept": 2, "pairs": records}

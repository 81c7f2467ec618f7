"""The pages of studies without a browser: taking part, looking after a study, and the addresses that answers go to."""

import html
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
import streamlit
from sqlalchemy import text
from starlette.requests import Request
from streamlit.testing.v1 import AppTest

from core.studies.planning import assign_stimuli
from core.studies.recruitment import Participant, StudySettings
from tests.ui.study_sets import answer_all, faces, identity_set, made_study
from tests.ui.visits import AS_OWNER, app, finished, paints_without_torch, words
from ui import navigation, server
from ui.studies import access, owner_gate, study_page

NOW = "2026-01-02T03:04:05.678+00:00"


def press(test, key):
    test.button(key=key).click().run()
    assert not test.exception
    return test


# Taking part


def test_a_link_that_leads_nowhere_and_doors_that_are_shut_say_so(place):
    store, library = place
    shut = made_study(store, library, "shut", faces(), closed=True)
    robots = made_study(store, library, "robots", faces(5), source="simulated")
    old = made_study(store, library, "old", faces(4), origin="published")
    assert "leads to no study" in words(app("take_part.py", study="nonsense"))
    assert "leads to no study" in words(app("take_part.py"))
    assert "This study is closed" in words(app("take_part.py", study=shut.token))
    assert "simulated observers" in words(app("take_part.py", study=robots.token))
    assert "publication" in words(app("take_part.py", study=old.token))
    for study in (shut, robots, old):
        assert not store.raters(study.name)


def test_any_link_opens(place):
    store, library = place
    study = made_study(store, library, "s", faces())
    store.change("s", token="a__b-_--" + study.token)
    test = app("take_part.py", study=store.study("s").token)
    assert "Before you begin" in words(test)


def test_nothing_is_kept_before_consent_and_the_owners_words_are_shown_as_they_are(place):
    store, library = place
    study = made_study(store, library, "s", faces(), consent="I <script>agree</script>\nto this.", title="Look & see")
    test = app("take_part.py", study=study.token)
    assert "&lt;script&gt;agree" in words(test)
    assert "<script>" not in words(test)
    press(test, "decline")
    assert "That is all right" in words(test)
    assert not store.raters("s")


def test_the_steps_from_consent_to_thanks(place):
    store, library = place
    study = made_study(store, library, "s", faces())
    answer_all(store, study, lambda _: "fear")
    test = press(app("take_part.py", study=study.token), "agree")
    person = store.raters("s")[-1]
    assert test.query_params["code"] in (person.code, [person.code])
    assert person.consented_at is not None
    assert "A word about you" in words(test)
    test.number_input[0].set_value(33)
    next(each for each in test.button if each.label == "Go on").click().run()
    assert store.rater(person.code).demographics == {"age": 33}
    press(test, "instructed")
    assert len(test.get("bidi_component")) >= 1 or "stop at any time" in words(test)

    rows = [row(person, name, "surprise") for name in person.trials]
    assert len(server.save_answers(request(person.code, rows))) == len(rows)
    test.run()
    assert "One last question" in words(test)
    test.text_area[0].set_value("the eyes")
    next(each for each in test.button if each.label == "Finish").click().run()
    finished = store.rater(person.code)
    assert (finished.strategy, finished.finished_at is not None) == ("the eyes", True)
    said = words(test)
    assert "Thank you" in said
    assert "of the answers of one other person" in said
    assert "0 %" in said  # the other one always said fear
    assert "You: surprise. The one other person: fear." in said


def test_leaving_and_coming_back_goes_on_in_the_middle(place):
    store, library = place
    study = made_study(store, library, "s", faces(), demographics=False)
    person = store.enrol("s", assign_stimuli)
    store.update(person.code, consented_at=datetime.now(UTC))
    server.save_answers(request(person.code, [row(person, person.trials[0], "fear")]))
    test = app("take_part.py", study=study.token, code=person.code)
    assert "stop at any time" in words(test)  # the faces, not the instructions
    assert "no longer here" in words(app("take_part.py", study=study.token, code="somebody"))
    other = made_study(store, library, "t", faces(5))
    assert "no longer here" in words(app("take_part.py", study=other.token, code=person.code))
    store.change("s", closed=True)
    assert "The answers that you gave (1) are kept" in words(app("take_part.py", study=study.token, code=person.code))


# The addresses


def row(person, name, value, task="emotion", **changed):
    return {
        "rating_id": access.make_answer_id(person.code, name, task),
        "stimulus": name,
        "task": task,
        "value": value,
        "reaction_time_ms": 640.5,
        "presented": {"image_frames": 12},
        "created_at": NOW,
    } | changed


def request(code, rows):
    return json.dumps({"code": code, "answers": rows}).encode()


def post(body, **headers):
    """-> (status, record) of a request as a browser would send it."""
    sent = {"host": "here:1", "origin": "http://here:1", "content_type": "application/json"} | headers
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/studies/answers",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items() if value],
        "query_string": b"",
    }

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    reply = finished(server.receive_answers(Request(scope, receive)))
    return reply.status_code, json.loads(reply.body)


def picture(token, sample):
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "path_params": {"token": token, "sample_id": sample}}
    return finished(server.serve_stimulus(Request(scope)))


def test_an_answer_is_acknowledged_once_it_is_kept_and_twice_sent_is_once_kept(place):
    store, library = place
    study = made_study(store, library, "s", faces())
    person = store.enrol("s", assign_stimuli)
    sent = row(person, person.trials[2], "fear")
    for _ in range(2):
        assert post(request(person.code, [sent])) == (200, {"acknowledged": [sent["rating_id"]]})
    kept = store.ratings("s")
    assert len(kept) == 1
    first = kept.iloc[0]
    assert (first["rater"], first["trial"], first["value"], first["source"]) == (person.rater, 2, "fear", "human")
    assert json.loads(first["presented"]) == {"image_frames": 12}
    assert first["reaction_time_ms"] == 640.5
    store.change("s", closed=True)
    status, record = post(request(person.code, [row(person, person.trials[0], "fear")]))
    assert status == 409
    assert "closed" in record["error"]
    assert study.token not in str(record)


def test_no_answer_to_a_rater_names_the_study_as_its_owner_does(place):
    store, library = place
    private = "Around Face 01, seed 0"
    study = made_study(store, library, private, faces())
    person = store.enrol(private, assign_stimuli)
    assert private not in words(app("take_part.py", study=study.token))
    assert post(request(person.code, [row(person, person.trials[0], "fear")]))[0] == 200
    for change, expected in ((lambda: store.change(private, closed=True), 409), (lambda: store.delete(private), 404)):
        change()
        status, record = post(request(person.code, [row(person, person.trials[1], "fear")]))
        assert status == expected
        assert private not in record["error"]
        assert private not in words(app("take_part.py", study=study.token, code=person.code))


def test_what_is_no_answer_is_refused_with_a_sentence(place):
    store, library = place
    made_study(store, library, "s", faces())
    person = store.enrol("s", assign_stimuli)
    other = store.enrol("s", assign_stimuli)
    good = row(person, person.trials[0], "fear")
    code = person.code
    cases = [
        (400, b"nonsense", {}),
        (400, b'{"code": "x", "answers": [{}], "n": NaN}', {}),
        (400, b"[" * 50_000, {}),
        (400, request(code, []), {}),
        (400, request(code, [good] * 201), {}),
        (400, request(code, [good | {"value": "joy"}]), {}),
        (400, request(code, [good | {"value": True}]), {}),
        (400, request(code, [good | {"task": "identity", "value": "1"}]), {}),
        (400, request(code, [good | {"stimulus": "../../etc/passwd"}]), {}),
        (400, request(code, [good | {"rating_id": "1"}]), {}),
        (400, request(code, [good | {"reaction_time_ms": -1}]), {}),
        (400, request(code, [good | {"created_at": "yesterday"}]), {}),
        (400, request(code, [good | {"created_at": "2026-01-02T03:04:05"}]), {}),
        (400, request(code, [good | {"is_sentinel": True}]), {}),
        (400, request(code, [{key: value for key, value in good.items() if key != "presented"}]), {}),
        (400, request(code, [good | {"presented": {"x": "y" * 5000}}]), {}),
        (403, request(code, [good]), {"origin": "http://elsewhere"}),
        (403, request(code, [good]), {"sec_fetch_site": "cross-site"}),
        (404, request("nobody", [good]), {}),
        (413, b" " * (server.MAX_REQUEST_BYTES + 1), {}),
        (415, request(code, [good]), {"content_type": "text/plain"}),
    ]
    for status, body, headers in cases:
        found, record = post(body, **headers)
        assert found == status, (body[:200], record)
        assert record["error"].endswith(".")
        assert len(store.ratings("s")) == 0
    assert post(request(code, [good]))[0] == 200
    taken = row(other, other.trials[0], "fear", rating_id=good["rating_id"])
    assert post(request(other.code, [taken]))[0] == 422


def test_somebody_whose_data_were_deleted_sends_no_more(place):
    store, library = place
    made_study(store, library, "s", faces())
    person = store.enrol("s", assign_stimuli)
    assert post(request(person.code, [row(person, person.trials[0], "fear")]))[0] == 200
    store.forget("s", person.rater)
    assert post(request(person.code, [row(person, person.trials[1], "fear")]))[0] == 404
    assert len(store.ratings("s")) == 0


def test_a_server_without_its_store_asks_to_try_again(place, monkeypatch):
    from core.errors import LiminalError

    def away():
        raise LiminalError("The store is away.")

    monkeypatch.setattr(access, "get_store", away)
    assert post(request("unknown", [{}]))[0] == 503


def test_pictures_are_those_of_the_study_and_of_no_other(place):
    store, library = place
    study = made_study(store, library, "s", faces())
    other = made_study(store, library, "t", identity_set())
    own = store.stimuli("s")[0].images[0]
    reply = picture(study.token, own)
    assert reply.status_code == 200
    assert reply.media_type == "image/png"
    assert reply.body.startswith(b"\x89PNG")
    assert "immutable" in reply.headers["cache-control"]
    for token, sample in [
        (other.token, own),
        ("wrong", own),
        (study.token, "../manifest"),
        (study.token, store.stimuli("t")[0].images[0]),
    ]:
        assert picture(token, sample).status_code == 404


# The owner


def test_the_owners_pages_open_here_or_with_the_password(place, monkeypatch):
    monkeypatch.setattr(owner_gate, "_is_local", lambda: False)
    assert "opens only on the computer" in words(app("studies.py"))
    monkeypatch.setenv("LIMINAL_OWNER_KEY", "sesame")
    test = app("import_ratings.py")
    assert "Bring in answers" not in words(test)
    test.text_input[0].set_value("open")
    test.button[0].click().run()
    assert "not the password" in words(test)
    test.text_input[0].set_value("sesame")
    test.button[0].click().run()
    assert "Bring in answers" in words(test)


def test_the_shelf_marks_simulated_studies_and_hides_them(place):
    store, library = place
    assert "No studies yet" in words(app("studies.py"))
    made_study(store, library, "people here", faces())
    made_study(store, library, "robots", faces(5), source="simulated")
    test = app("studies.py")
    assert 'data-mark="simulated"' in words(test)
    test.toggle(key="hide").set_value(True).run()
    assert 'data-mark="simulated"' not in words(test)
    assert 'data-mark="human"' in words(test)
    assert "simulated" in words(app("studies.py", study="robots"))


def test_a_study_shows_its_votes_and_whom_its_rules_leave_out(place):
    store, library = place
    study = made_study(store, library, "s", faces(13))
    for number in range(3):
        answer_all(store, study, lambda name: ("fear", "surprise")[int(name, 16) % 2], f"p{number}")
    answer_all(store, study, lambda _: "anger", "always")
    test = app("studies.py", study="s")
    said = words(test)
    assert "always" in said
    assert "The answer to all 13 trials was anger." in said
    assert "1 is left out" in said
    test.toggle(key="same_answer").set_value(False).run()
    assert "The answer to all 13 trials was anger." not in words(test)
    assert "There is no study" in words(app("studies.py", study="none"))


def test_a_study_leads_to_what_its_answers_mean_and_offers_those_that_came_in_meanwhile(place):
    store, library = place
    study = made_study(store, library, "s", faces())
    answer_all(store, study, lambda _: "fear")
    test = app("studies.py", study="s")
    links = [link.proto.label for link in test.get("page_link")]
    assert {"Statistics", "Disagreement", "Map"} <= set(links)
    assert not [each for each in test.button if each.key == "count-new"]

    def live_part():
        from ui.studies import access, study_page

        study_page._offer_new_answers(access.get_store().study("s"))

    for shown, expected in ((access.answers_version(study), 0), (("s", study.token, (0, 0), 0), 1)):
        part = AppTest.from_function(live_part)
        part.session_state[study_page.SHOWN_VERSION] = shown
        assert len(part.run().button) == expected
        assert not part.exception


def test_a_study_is_closed_opened_and_deleted(place):
    store, library = place
    made_study(store, library, "s", faces())
    test = press(app("studies.py", study="s"), "close")
    assert store.study("s").closed
    press(test, "reopen")
    assert not store.study("s").closed
    assert test.button(key="delete-study").disabled
    test.text_input(key="delete-name").set_value("s").run()
    press(test, "delete-study")
    assert not store.studies()


def test_one_persons_data_are_deleted_and_that_is_said(place):
    store, library = place
    study = made_study(store, library, "s", faces())
    for name in ("ann", "bob"):
        answer_all(store, study, lambda _: "fear", name)
    test = app("studies.py", study="s")
    assert test.button(key="forget").disabled
    test.selectbox(key="forget-who").set_value("ann")
    test.text_input(key="forget-why").set_value("asked for it")
    test.checkbox(key="forget-sure").check().run()
    press(test, "forget")
    assert set(store.ratings("s")["rater"]) == {"bob"}
    said = words(test)
    assert "one person's data were deleted on request (6 answers). Reason given: asked for it." in said


def test_a_study_is_made_from_a_set_of_the_library(place, jobs_at_once):
    store, library = place
    set_id = library.add(identity_set(), "Four strangers")
    test = app("studies.py", new=set_id)
    assert test.multiselect(key="sets").value == [set_id]
    next(each for each in test.text_input if each.label.startswith("Name of the study")).set_value("Who is who")
    next(each for each in test.button if each.label == "Make the study").click().run()
    assert not test.exception
    study = store.study("Who is who")
    assert (study.plan.kind, study.plan.trials, study.plan.sentinels) == ("identity", 4, 1)
    assert len(store.stimuli("Who is who")) == 5
    assert f"study={study.token}" in test.code[0].value


def test_answers_are_brought_in_after_a_look(place):
    store, _ = place
    test = app("import_ratings.py")
    table = b"subject,picture,choice\np1,a,happy\np1,b,sad\np2,a,meh\n"
    test.file_uploader(key="answers-file").upload("pilot.csv", table, "text/csv").run()
    assert not test.exception
    said = words(test)
    assert "1 of 3 rows cannot be taken" in said
    assert test.button(key="import").disabled
    test.checkbox(key="leave-out").check().run()
    press(test, "import")
    assert sorted(store.ratings("pilot")["value"]) == ["happiness", "sadness"]
    assert store.study("pilot").origin == "imported"


@pytest.mark.parametrize(("page", "query"), [("take_part", "study"), ("studies", "study"), ("import_ratings", "x")])
def test_pages_of_studies_paint_before_torch_is_imported(place, page, query):
    store, library = place
    study = made_study(store, library, "s", faces())
    answer_all(store, study, lambda _: "fear")
    value = study.token if page == "take_part" else "s"
    paints_without_torch(f"{page}.py", AS_OWNER, **{query: value})


def test_faces_just_made_are_kept_for_a_study(place, monkeypatch):
    _, library = place
    went = []
    monkeypatch.setattr(streamlit, "switch_page", lambda page, query_params: went.append(query_params))
    monkeypatch.setattr(navigation, "build_page", lambda place: place)

    def page():
        from tests.ui.study_sets import faces
        from ui.studies.new_study import ask_people

        ask_people(faces(), "Just made")

    test = AppTest.from_function(page).run()
    assert all(entry.demonstration for entry in library.sets())
    press(test, "ask-people")
    (entry,) = (entry for entry in library.sets() if not entry.demonstration)
    assert (entry.title, entry.kind) == ("Just made", "emotion")
    assert went == [{"new": entry.set_id}]


# How people come and go


def recruited(store, library, **settings):
    study = made_study(store, library, "s", faces(), demographics=False, strategy_question=False)
    return store.change(study.name, settings=StudySettings(**settings))


def answer_open(store, person):
    server.save_answers(request(person.code, [row(person, name, "fear") for name in person.trials]))


def test_a_participant_comes_back_without_a_code_and_is_sent_on_when_done(place):
    store, library = place
    done = "https://panel.example/done?cc=C1&who={participant}&s={SESSION_ID}"
    study = recruited(store, library, finished=done)
    link = {"study": study.token, "PROLIFIC_PID": "5f+1", "SESSION_ID": "a b"}
    test = app("take_part.py", **link)
    assert "gives you a name of its own" in words(test)
    press(test, "agree")
    (person,) = store.raters("s")
    assert store.participant_of(person).parameters == {"PROLIFIC_PID": "5f+1", "SESSION_ID": "a b"}
    again = app("take_part.py", **link)  # another visit, another browser
    assert again.query_params["code"] in (person.code, [person.code])
    assert "How it goes" in words(again)
    answer_open(store, person)
    again.run()
    said = words(again)
    assert "Thank you" in said
    assert 'href="https://panel.example/done?cc=C1&amp;who=5f%2B1&amp;s=a%20b"' in said
    assert "This leads to panel.example. Only then are you done there." in said
    said = words(app("take_part.py", **link))
    assert "You have taken part already" in said
    assert "who=5f%2B1" in said
    assert len(store.raters("s")) == 1
    other = app("take_part.py", study=study.token, code=person.code, PROLIFIC_PID="somebody")  # a link that was passed on
    assert "Before you begin" in words(other)


def test_who_declines_gets_the_way_out_and_is_counted_once(place):
    store, library = place
    study = recruited(store, library, declined="NO-THANKS")
    test = press(app("take_part.py", study=study.token, PROLIFIC_PID="ann"), "decline")
    assert "That is all right" in words(test)
    assert test.code[0].value == "NO-THANKS"
    assert store.participation("s").declined == 1
    press(test, "after-all")
    assert store.participation("s").declined == 0
    press(press(test, "decline"), "after-all")
    press(test, "agree")
    assert (store.participation("s").declined, store.participation("s").started) == (0, 1)


def test_a_full_study_says_so_and_sends_on(place):
    store, library = place
    study = recruited(store, library, full="https://panel.example/full?{participant}", target=1)
    first, second = (app("take_part.py", study=study.token, pid=name) for name in ("ann", "bob"))
    press(first, "agree")
    press(second, "agree")  # a moment too late
    assert "Every place is taken" in words(second)
    assert "https://panel.example/full?bob" in words(second)
    (person,) = store.raters("s")
    answer_open(store, person)
    first.run()
    assert store.study("s").closed
    assert "This study is closed" in words(app("take_part.py", study=study.token, pid="bob"))
    assert "Thank you" in words(first)


def test_whoever_was_away_for_long_comes_back_as_long_as_there_is_a_place(place):
    store, library = place
    study = recruited(store, library, target=1, timeout_minutes=1)
    person = store.enrol("s", assign_stimuli)
    server.save_answers(request(person.code, [row(person, person.trials[0], "fear")]))
    with store._database.writing() as connection:
        connection.execute(text("UPDATE raters SET seen_at = '2026-01-01 00:00:00.000000'"))
    other = store.enrol("s", assign_stimuli)
    status, record = post(request(person.code, [row(person, person.trials[1], "fear")]))
    assert (status, record["error"]) == (
        410, "You were away for so long that somebody else got your place. Reload this page to see if one is free."
    )  # fmt: skip
    back = app("take_part.py", study=study.token, code=person.code)
    assert "Your place was given to somebody else" in words(back)
    assert "The answers that you gave (1) are kept" in words(back)
    store.forget("s", other.rater)
    assert "stop at any time" in words(app("take_part.py", study=study.token, code=person.code))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"PROLIFIC_PID": "<img src=x onerror=alert(1)>"}, "This link's 'PROLIFIC_PID' is no participant's name"),
        ({"x": "y" * 10_000}, "This link's 'x' has 10,000 characters, more than the 500 that are kept"),
        ({"PROLIFIC_PID": ["a", "b"]}, "This link has 'PROLIFIC_PID' 2 times"),
        ({"<b>odd</b>": ["a", "b"]}, "This link has '&lt;b&gt;odd&lt;/b&gt;' 2 times"),
    ],
)
def test_links_that_cannot_be_used_say_why(place, query, sentence):
    store, library = place
    study = recruited(store, library)
    said = words(app("take_part.py", study=study.token, **query))
    assert "This link cannot be used" in said
    assert sentence in said
    assert "<img src=x" not in said
    assert not store.raters("s")


def test_the_owner_sets_where_people_go_and_sees_how_many_came(place):
    store, library = place
    study = recruited(store, library)
    person = store.enrol("s", assign_stimuli, participant=Participant("ann", {"PROLIFIC_PID": "ann", "x": "<b>"}))
    answer_open(store, person)
    store.finish(person.code)
    store.count_departure("s", "declined")
    test = press(app("studies.py", study="s"), "settings")
    test.text_input(key="set-finished").set_value("javascript:alert(1)")

    def save():
        next(each for each in test.button if each.label == "Save").click().run()

    save()
    assert "'javascript:alert(1)' is no place to send people to" in test.error[0].value
    assert store.study("s").settings == StudySettings()
    test.text_input(key="set-finished").set_value("https://panel.example/?{participant}")
    test.selectbox(key="set-parameter").set_value("PROLIFIC_PID")
    test.number_input(key="set-target").set_value(5)
    save()
    assert store.study("s").settings == StudySettings("PROLIFIC_PID", "https://panel.example/?{participant}", target=5)
    test = app("studies.py", study="s")
    said = words(test)
    assert "<b>1</b><span>finished, of 5 that are wanted</span>" in said
    assert "<b>1</b><span>did not consent</span>" in said
    assert "Of those who have finished every face has 1 vote." in said
    assert test.code[0].value.endswith(
        f"study={study.token}&PROLIFIC_PID={{{{%PROLIFIC_PID%}}}}&STUDY_ID={{{{%STUDY_ID%}}}}&SESSION_ID={{{{%SESSION_ID%}}}}"
    )
    assert test.button(key="drop-names").disabled
    press(test, "close")
    test.checkbox(key="drop-sure").check().run()
    press(test, "drop-names")
    assert store.participants("s") == []


def test_the_table_for_r_is_made_under_the_rules_that_are_on(place):
    store, library = place
    study = made_study(store, library, "s", faces())
    answer_all(store, study, lambda _: "fear")
    test = app("studies.py", study="s")
    assert not test.exception
    assert "R script" in words(test)
    archive = zipfile.ZipFile(io.BytesIO(study_page.make_table_archive(study, "s", demographics=False)))
    assert archive.namelist() == ["s.csv", "s_dictionary.csv", "s.R"]
    assert archive.read("s.csv").count(b"\r\n") == len(store.ratings("s")) + 1


def test_a_new_study_is_told_how_many_people_it_needs_before_anybody_is_asked(place, jobs_at_once):
    store, library = place
    set_id = library.add(identity_set(8), "Strangers")
    test = app("studies.py", new=set_id)
    next(button for button in test.button if button.label == "How many people do I need?").click().run()
    assert not test.exception
    said = words(test)
    assert "a difference of 10 percentage points in 'same person'" in html.unescape(said)
    assert "simulated" in said.lower()
    assert not store.studies()

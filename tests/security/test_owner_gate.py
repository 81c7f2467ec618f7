"""Who gets to people's answers: on the server's own computer, by a password, by signing in, by a proxy's word; nobody else."""

import json
from types import SimpleNamespace

import pytest
import streamlit
from streamlit.runtime.context import StreamlitHeaders
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value, generate_xsrf_token_string

from tests.security.visitor import said
from tests.ui.conftest import own_folder, serving
from tests.ui.study_sets import answer_all, faces, made_study
from ui import navigation
from ui.studies import owner_gate

GATE = "For the owner of the studies"
OWNER, PROOF = "Owner@Lab.example", "X-Liminal-Proxy-Secret"
HERE = [("Host", "localhost:8501"), ("Origin", "http://localhost:8501")]


@pytest.fixture
def visit(monkeypatch):
    """Whether somebody with these headers from this address is let in."""
    for name in (owner_gate.KEY, owner_gate.OWNERS, owner_gate.HEADER, owner_gate.SECRET):
        monkeypatch.delenv(name, raising=False)

    def visited(headers=HERE, ip=None, user=None, **settings):
        for name in (owner_gate.KEY, owner_gate.OWNERS, owner_gate.HEADER, owner_gate.SECRET):
            monkeypatch.delenv(name, raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(f"LIMINAL_{name.upper()}", value)
        monkeypatch.setattr(streamlit, "context", SimpleNamespace(headers=StreamlitHeaders(headers), ip_address=ip))
        monkeypatch.setattr(streamlit, "user", SimpleNamespace(to_dict=lambda: user or {}))
        monkeypatch.setattr(streamlit, "session_state", {})
        return owner_gate.is_allowed()

    return visited


def test_without_any_setting_only_this_computer_is_let_in(visit):
    assert visit()
    assert visit([("Host", "127.0.0.1:8501")])
    assert visit([("Host", "[::1]:8501"), ("Origin", "http://[::1]:8501")])
    assert not visit(ip="192.168.1.7")
    assert not visit([("Host", "liminal.example"), ("Origin", "https://liminal.example")])
    assert not visit([("Host", "localhost:8501"), ("Origin", "https://liminal.example")]), "a proxy that forwards no host"
    assert not visit([("Host", "localhost.evil.example:8501")])
    for name in owner_gate.FORWARDED_HEADERS:
        assert not visit([*HERE, (name, "127.0.0.1")]), name
    for odd in ("[", "[::1", "localhost@evil.example", "localhost\\.evil.example", "LOCALHOST.", "0"):
        assert not visit([("Host", odd)]), odd
    assert not visit([*HERE, ("X-Forwarded-Email", OWNER), (PROOF, "")], ip="10.0.0.7"), "no header is believed unasked"


def test_a_header_is_believed_from_a_proxy_with_the_secret(visit):
    how = {"owner_header": "X-Forwarded-Email", "owners": f"other@lab.example, {OWNER}", "proxy_secret": "sesame ö"}
    proof, named = (PROOF, "sesame ö"), ("X-Forwarded-Email", " owner@lab.EXAMPLE ")
    assert visit([named, proof], ip="10.0.0.7", **how)
    assert visit([named, proof, ("X-Forwarded-For", "1.2.3.4")], ip="1.2.3.4", **how)
    assert not visit([named], ip="10.0.0.7", **how)
    assert not visit([named, (PROOF, "sesame")], **how)
    assert not visit([named, (PROOF, "")], **how)
    assert not visit([named, proof, proof], **how)
    assert not visit([named, ("X-Forwarded-Email", "x@evil.example"), proof], **how), "the visitor's own and the proxy's"
    assert not visit([("X-Forwarded-Email", f"{OWNER},x@evil.example"), proof], **how)
    assert not visit([("X-Forwarded-Email", "rater@lab.example"), proof], **how)
    assert not visit([("X-Forwarded-Email", ""), proof], **how)
    assert not visit([*HERE, proof], **how)
    assert not visit(**how), "this computer too is asked"


def test_a_header_without_a_secret_is_believed_from_this_computer_alone(visit):
    how = {"owner_header": "Remote-User", "owners": "ann"}
    named = ("Remote-User", "ann")
    assert visit([named], **how)
    assert not visit([named], ip="10.0.0.7", **how)
    assert not visit([named, ("X-Forwarded-For", "127.0.0.1")], **how), "a header could have moved the address"
    assert not visit([named], owner_header="Remote-User"), "owners are named, always"
    assert not visit([("Remote-User", "")], owner_header="Remote-User", owners=", ,")


def test_who_signs_in_must_be_an_owner_with_a_verified_address(visit):
    how = {"owners": OWNER, "ip": "1.2.3.4"}
    known = {"is_logged_in": True, "email": "owner@lab.example"}
    assert visit(user=known, **how)
    assert visit(user=known | {"email_verified": True}, **how)
    for other in (
        {"is_logged_in": False},
        {"is_logged_in": False, "email": OWNER},
        {"is_logged_in": "True", "email": OWNER},
        {"email": OWNER},
        known | {"email": "rater@lab.example"},
        known | {"email": None},
        known | {"email_verified": False},
        known | {"email_verified": "false"},
        known | {"email_verified": None},
    ):
        assert not visit(user=other, **how), other
    assert not visit(user=known, ip="1.2.3.4")
    assert not visit(user={"is_logged_in": False}, owners=OWNER), "with a login this computer signs in too"


def test_a_wrong_password_is_slow_and_opens_nothing(visit, monkeypatch):
    slept = []
    monkeypatch.setattr(owner_gate, "sleep", slept.append)

    def page():
        from ui.studies import owner_gate

        if owner_gate.require_owner():
            import streamlit as st

            st.write("inside")

    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(owner_gate.KEY, "sesame ☃")
    test = AppTest.from_function(page).run()
    for given in ("", "sesame", "sesame ☃ ", "☃"):
        test.text_input[0].set_value(given)
        test.button[0].click().run()
        assert not test.exception
        assert "not the password" in test.error[0].value
    assert slept == [owner_gate.PAUSE_SECONDS] * 4
    test.text_input[0].set_value("sesame ☃")
    test.button[0].click().run()
    assert test.markdown[-1].value == "inside"
    monkeypatch.setenv(owner_gate.KEY, "")
    assert not test.run().exception


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A real server, closed behind a login and a proxy's header, with a study -> (address, study, rater's code)."""
    folder = tmp_path_factory.mktemp("closed")
    secrets = folder / "secrets.toml"
    secrets.write_text(
        '[auth]\nredirect_uri = "http://localhost/oauth2callback"\ncookie_secret = "of the cookie"\nclient_id = "x"\n'
        'client_secret = "x"\nserver_metadata_url = "http://localhost:1/none"\n'
    )
    behind = {
        "STREAMLIT_SECRETS_FILES": str(secrets),
        "LIMINAL_OWNERS": OWNER,
        "LIMINAL_OWNER_HEADER": "X-Forwarded-Email",
        "LIMINAL_PROXY_SECRET": "between us",
    }
    with own_folder(folder, **behind) as (store, library):
        study = made_study(store, library, "Hidden things", faces())
        person = answer_all(store, study, lambda _: "fear", "A very private rater")
        with serving(folder / "log.txt") as address:
            yield address, study, person
    log = (folder / "log.txt").read_text()
    assert "Traceback" not in log, log


def cookie(address, secret="of the cookie", **claims):
    """What the browser sends in which somebody has signed in, as Streamlit's own login leaves it."""
    value = json.dumps({"origin": address, "is_logged_in": True} | claims)
    user, token = create_signed_value(secret, "_streamlit_user", value).decode(), generate_xsrf_token_string()
    return {"headers": [("Cookie", f"_streamlit_user={user}; _streamlit_xsrf={token}")], "token": token}


def test_a_real_server_lets_in_owners_and_shows_raters_their_study_alone(closed):
    address, study, person = closed
    asked = "study=Hidden%20things"
    inside = study.token  # of the link that the owner sends
    # the owner, by either way
    assert inside in said(address, "studies", asked, **cookie(address, email=OWNER))
    assert inside in said(address, "studies", asked, [("X-Forwarded-Email", OWNER), (PROOF, "between us")])
    # nobody else, on any page that knows studies
    own = f"study={study.token}&code={person.code}"
    strangers = [
        {},
        cookie(address, email="rater@lab.example"),
        cookie(address, "forged", email=OWNER),
        cookie("http://elsewhere", email=OWNER),
        cookie(address, email=OWNER, is_logged_in=False),
        cookie(address, email=OWNER) | {"token": generate_xsrf_token_string()},
        {"headers": [("X-Forwarded-Email", OWNER)]},
        {"headers": [("X-Forwarded-Email", OWNER), (PROOF, "guess")]},
    ]
    for how in strangers:
        page = said(address, "studies", asked, **how)
        assert GATE in page
        assert inside not in page
    assert "Sign in" in said(address, "studies", asked).replace("Signing in needs", "Sign in")
    assert "not among those of the owners" in said(address, "studies", asked, **strangers[1])
    for name in (
        "",
        *(place.url for place in (*navigation.MAIN_PAGES, *navigation.LINKED_PAGES) if place.url not in ("", "take-part")),
    ):
        for query in (asked, own, f"study={study.token}", "", f"new={study.sample_sets[0]}"):
            page = said(address, name, query)
            for secret in (inside, person.code, person.rater, "Faces of Hidden things"):
                assert secret not in page.replace(query, ""), (name, query, secret)
    # and the rater comes to the own study, without anything of its owner
    page = said(address, "take-part", own)
    assert GATE not in page
    assert "Hidden things" not in page.replace(asked, "")

"""Addresses that nobody would send, to every page and route of a real server: no traceback in page or log, no change on disk."""

import http.client
import re
import string
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.corpus import ODD
from tests.security.disk import everything_on
from tests.security.visitor import said
from tests.sizes import share
from tests.ui.conftest import own_folder, serving
from tests.ui.study_sets import answer_all, faces, identity_set, made_study
from ui import navigation

PAGES = [place.url for place in (*navigation.MAIN_PAGES, *navigation.LINKED_PAGES)]
NAMES = (
    *("base", "pair", "seed", "sample", "generator", "recogniser", "count", "freedom", "strategy", "gamma", "loss", "adaptive"),
    *("resampling", "row", "frames", "threshold", "stranger", "study", "code", "new", "set", "faces", "compare", "item", "part"),
    *(
        "selection",
        "hide",
        "attentive",
        "networks",
        "people",
        "split",
        "rounds",
        "stop",
        "plain",
        "run",
        "by",
        "with",
        "kind",
        "owner",
    ),
    *("first", "second", "group-first", "set-second", "sort", "judge", "space", "colour", "x", "embed", "embed_options"),
)
"""What pages read from their addresses, and what they do not."""
UP = ("..", "%2e%2e", "..%2f..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "%00", "%ff")
PLAIN = [str(each) for each in ODD if isinstance(each, str | int | float) and len(str(each)) < 400 and "\ud800" not in str(each)]
MEANT = ("dcgan", "dcgan-sharp", "fear-surprise", "fear-fear", "0-0", "1", "Asked", "Faces of a sample set", "sets", "groups")
VALUES = st.one_of(
    st.sampled_from([*PLAIN, *MEANT]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text(string.printable, max_size=30),
    st.from_regex(r"\A-?[0-9]{1,30}(\.[0-9]{1,5})?(e[0-9]{1,3})?\Z"),
)
QUERIES = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=5)
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE")
FEW = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A server with two studies, as its owner sees it -> (address, study, its folder)."""
    folder = tmp_path_factory.mktemp("target")
    with own_folder(folder) as (store, library):
        study = made_study(store, library, "Asked", identity_set())
        answer_all(store, study, lambda _: "1")
        answer_all(store, made_study(store, library, "Felt", faces()), lambda _: "fear")
        with serving(folder / "log.txt", "tests/security/idle_app.py") as address:
            for page in PAGES:  # what a first visit unpacks is there
                said(address, page)
            yield address, study, folder


def sound(page):
    assert "script_finished: FINISHED_SUCCESSFULLY" in page
    assert "Traceback" not in page
    assert not re.search(r"^ +exception \{", page, re.MULTILINE), page[-3000:]


def test_pages(target):
    address, _, folder = target
    before = everything_on(folder)

    @settings(FEW, max_examples=share(100))
    @given(st.sampled_from(PAGES), QUERIES)
    def visit(page, query):
        sound(said(address, page, urlencode(query)))

    visit()
    assert everything_on(folder) == before, "an address changed something on the disk"
    assert "Traceback" not in (folder / "log.txt").read_text()


def asked(address, path, method="GET", body=None, headers=()):
    """-> (status, content type, body) of a request."""
    place = urlsplit(address)
    line = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    line.request(method, path, body, dict(headers))
    answer = line.getresponse()
    content = answer.read()
    line.close()
    return answer.status, answer.getheader("content-type", ""), content


def test_routes(target):
    address, study, folder = target
    before = everything_on(folder)
    segment = st.one_of(
        VALUES, st.sampled_from(["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", study.token, study.sample_sets[0]])
    )
    shapes = [
        "/faces/{}.webp",
        "/studies/{}/images/{}",
        "/sets/{}/images/{}",
        "/points/{}",
        "/assets/{}/{}",
        "/media/{}",
        "/{}",
        "/component/{}/{}",
    ]

    @settings(FEW, max_examples=share(160))
    @given(
        st.sampled_from(shapes),
        segment,
        segment,
        st.booleans(),
        st.sampled_from(METHODS),
    )
    def ask(shape, first, second, coded, method):
        parts = [quote(each, safe="%" if each.startswith(("%", "..")) else "") for each in (first, second)]
        status, kind, content = asked(address, shape.format(*parts), method)
        assert status < 500, (shape, first, second, content[:300])
        assert b"Traceback" not in content
        assert b"root:" not in content
        if status == 200 and "html" in kind and method != "HEAD":
            assert b"Streamlit Inc." in content[:200], "only Streamlit's own page is HTML"

    ask()
    assert everything_on(folder) == before
    assert "Traceback" not in (folder / "log.txt").read_text()


def test_uploads_need_a_session_and_have_a_limit(target):
    """Streamlit's own address for uploads: nobody without a session, no other method, nothing beyond the limit."""
    address, _, folder = target
    before = everything_on(folder)
    for method in ("PUT", "POST", "DELETE"):
        for body in (b"", b"x" * 1000, b"\x00" * (11 * 1024 * 1024)):
            status, _, content = asked(
                address, "/_stcore/upload_file/none/none", method, body, {"Content-Type": "multipart/form-data; boundary=x"}
            )
            assert 400 <= status < 500, (method, len(body), status)
            assert b"Traceback" not in content
    assert everything_on(folder) == before
    assert "Traceback" not in (folder / "log.txt").read_text()


def test_every_answer_forbids_guessing_framing_and_telling_addresses(target):
    address, study, _ = target
    for path in (
        "/",
        "/take-part?study=x",
        f"/studies/{study.token}/images/none",
        "/assets/style.css",
        "/_stcore/health",
        "/faces/x.webp",
    ):
        place = urlsplit(address)
        line = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
        line.request("GET", path)
        answer = line.getresponse()
        answer.read()
        line.close()
        found = {name.lower(): value for name, value in answer.getheaders()}
        assert found["x-content-type-options"] == "nosniff", path
        assert found["x-frame-options"] == "SAMEORIGIN", path
        assert found["referrer-policy"] == "same-origin", path

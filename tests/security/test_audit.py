"""The audit of dependencies: a hole fails, also one that a real run finds; no answer is said and never passes for a good one."""

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOLE = {"id": "PYSEC-2026-1", "fix_versions": ["3.1.7"], "aliases": [], "description": ""}


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["audit"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["audit"]


def report(*rows):
    return json.dumps({"dependencies": list(rows), "fixes": []})


GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [HOLE]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found"}
AWAY = "requests.exceptions.ConnectionError: HTTPSConnectionPool: NameResolutionError"


def judged(audit, *, strict=False, **outputs):
    code, lines = audit.verdict({name: audit.read(*each) for name, each in outputs.items()}, strict)
    return code, "\n".join(lines)


def test_a_hole_fails_wherever_it_is_known(audit):
    code, said = judged(audit, one=(1, report(GOOD, BAD), ""))
    assert code == 1
    assert "b 2: PYSEC-2026-1 (mended in 3.1.7)" in said
    assert judged(audit, one=(1, "", AWAY), two=(1, report(BAD), ""))[0] == 1
    assert judged(audit, one=(1, report(BAD), ""), two=(0, report(GOOD, {**BAD, "vulns": []}), ""))[0] == 1
    assert "AUDIT FAILED" in said


def test_no_answer_is_said_and_fails_only_where_that_is_asked(audit):
    for outputs in ({"one": (1, "", AWAY)}, {"one": (0, report(SKIPPED), "")}, {"one": (0, report(), ""), "two": (1, "", AWAY)}):
        code, said = judged(audit, **outputs)
        assert code == 0
        assert "NOTHING WAS AUDITED" in said
        assert "No known holes" not in said
        assert judged(audit, strict=True, **outputs)[0] == 3


def test_what_only_some_databases_know_is_named(audit):
    code, said = judged(audit, one=(0, report(GOOD, SKIPPED), ""), two=(1, "", AWAY))
    assert code == 0
    assert "NOT AUDITED, since no database knows them: c." in said
    assert judged(audit, strict=True, one=(0, report(GOOD, SKIPPED), ""))[0] == 3
    assert judged(audit, strict=True, one=(0, report(GOOD), ""), two=(0, report(SKIPPED), ""))[1].endswith("No known holes.")


def test_a_broken_tool_fails(audit):
    for output in ("", "nonsense", "[]", '{"dependencies": null}'):
        assert judged(audit, one=(2, output, "usage: pip-audit"))[0] == 1
    assert judged(audit, one=(1, report(GOOD), "something else"))[0] == 1
    assert judged(audit, one=(0, "", ""))[0] == 1


@pytest.fixture
def database():
    """A database of holes on this computer, in OSV's form: it knows one in b 2."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hole = {"id": "PYSEC-2026-1", "summary": "planted", "aliases": [], "published": "2026-01-01T00:00:00Z"}
            hole["affected"] = [
                {
                    "package": {"name": "b", "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3"}]}],
                }
            ]
            known = asked["package"]["name"] == "b" and asked["version"] == "2"
            body = json.dumps({"vulns": [hole]} if known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def test_a_real_run_finds_a_planted_hole(audit, database, tmp_path):
    pins = tmp_path / "pins.txt"
    extra = ["--osv-url", database, "--cache-dir", str(tmp_path / "cache")]
    pins.write_text("a==1\nb==2\n")
    found = audit.ask("osv", [pins], extra)
    assert found.audited == 2
    assert found.holes == ["b 2: PYSEC-2026-1 (mended in 3)"]
    assert audit.verdict({"osv": found}, False)[0] == 1
    assert audit.ask("osv", [pins], ["--osv-url", "http://127.0.0.1:9/", "--cache-dir", str(tmp_path / "other")]).away

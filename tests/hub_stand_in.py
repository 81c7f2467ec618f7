"""A hub of models on the loopback interface, with the answers that huggingface_hub 2.4 asks for, and plain files beside it."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0" * 39 + "1"


class HubServer(ThreadingHTTPServer):
    """repositories: owner/name -> folder. files: path -> file. requests: (method, path, range). breaks_at: bytes of the first
    answer with a file after which the connection is cut; None for never."""

    daemon_threads = True

    def __init__(self, repositories=None, files=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories, self.files = dict(repositories or {}), dict(files or {})
        self.requests, self.breaks_at = [], None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        path = self.path.partition("?")[0].strip("/")
        self.server.requests.append((self.command, path, self.headers.get("Range")))
        if path in self.server.files:
            return self.send_file(Path(self.server.files[path]), body)
        for name, folder in self.server.repositories.items():
            if path.startswith(f"api/models/{name}"):
                return self.send_listing(name, Path(folder), path)
            if path.startswith(f"{name}/resolve/"):
                file = Path(folder) / path.split("/", 4)[4]
                if file.is_file():
                    return self.send_file(file, body)
        self.send_response(404)
        if path.startswith("api/models/"):
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_listing(self, name, folder, path):
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        names = {file.relative_to(folder).as_posix(): file for file in files}
        if "/tree/" in path:
            content = [{"type": "file", "path": key, "size": file.stat().st_size, "oid": etag(file)} for key, file in names.items()]
        else:
            siblings = [{"rfilename": key, "size": file.stat().st_size, "blobId": etag(file)} for key, file in names.items()]
            content = {"id": name, "sha": COMMIT, "siblings": siblings, "cardData": {"license": "mit"}, "private": False}
        self.send_bytes(json.dumps(content).encode(), "application/json")

    def send_bytes(self, data, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_file(self, file, body):
        data = file.read_bytes()
        begun = 0
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if asked and condition in (None, f'"{etag(file)}"'):
            begun = int(asked.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if begun else 200)
        self.send_header("ETag", f'"{etag(file)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if begun:
            self.send_header("Content-Range", f"bytes {begun}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begun))
        self.end_headers()
        if not body:
            return
        if self.server.breaks_at is not None:
            data, self.server.breaks_at = data[: begun + self.server.breaks_at], None
            self.close_connection = True
        self.wfile.write(data[begun:])


def etag(file):
    return hashlib.sha1(file.read_bytes()).hexdigest()


@contextmanager
def hub_stand_in(monkeypatch, tmp_path, **content):
    """The server, in the hub's place for huggingface_hub, with an empty cache."""
    import huggingface_hub
    from huggingface_hub import constants

    server = HubServer(**content)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    huggingface_hub.close_session()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        huggingface_hub.close_session()

"""The server's settings as they are shipped, and that nothing around them is looser than it says."""

import tomllib
from pathlib import Path

import streamlit
from starlette.formparsers import MultiPartParser
from streamlit import config

from core.models import photos
from ui import server

ROOT = Path(__file__).resolve().parents[2]
WANTED = {
    "server.address": "localhost",  # private unless somebody says otherwise
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.maxUploadSize": 10,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "client.showErrorDetails": "type",  # no traceback on a page
    "browser.gatherUsageStats": False,
}
LEFT_OFF = {
    "server.enableStaticServing": False,
    "server.trustedUserHeaders": {},
    "server.corsAllowedOrigins": [],
    "server.enableAgentApi": False,  # nobody drives the app without a browser
}


def test_the_shipped_settings():
    shipped = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    flat = {f"{part}.{name}": value for part, values in shipped.items() for name, value in values.items()}
    assert {name: flat.get(name) for name in WANTED} == WANTED
    for name, value in LEFT_OFF.items():
        assert name not in flat, name
        assert config.get_option(name) == value, name


def test_no_secrets_are_shipped():
    assert "secrets.toml" in (ROOT / ".gitignore").read_text()


def test_uploads_are_read_up_to_one_limit_everywhere(monkeypatch):
    monkeypatch.setattr(MultiPartParser, "spool_max_size", 1)
    server.keep_uploads_in_memory()
    most = streamlit.get_option("server.maxUploadSize") * 1024**2
    assert most == photos.MOST_BYTES
    assert MultiPartParser.spool_max_size > most

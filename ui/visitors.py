"""Whose script runs, and whether they are still there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.models import visits


def current() -> str:
    """The session that this script runs for; nothing outside of one."""
    context = get_script_run_ctx(suppress_warning=True)
    return "" if context is None else context.session_id


def is_present(session: str) -> bool:
    """Whether the session's browser is connected; where there is no server, everybody is there."""
    return not session or not Runtime.exists() or Runtime.instance().is_active_session(session)


def end_sessions(runtime: Runtime) -> bool:
    """Let go of sessions that can no longer be returned to -> whether there were any. Called in the server's own thread.

    Streamlit lets go of them when the next visitor leaves, which on a quiet server may be never; a session holds photos.
    """
    sessions: Any = runtime._session_mgr  # there is no public way; a test tells when this one has gone
    with sessions._storage_lock:
        ended = sessions._session_storage._cache.expire()
    return bool(ended)


def enter() -> None:
    """From here on this script's requests to networks are its session's."""
    session = current()
    if session:
        visits.enter(visits.Visit(session, keeps=True))


@contextmanager
def privately() -> Iterator[None]:
    """For what is made of a visitor's photo: within it no network's result is kept for other sessions."""
    with visits.visiting(replace(visits.current(), keeps=False)):
        yield

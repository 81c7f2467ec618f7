"""Whose script runs, and whether they are still there."""

from __future__ import annotations

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


def enter() -> None:
    """From here on this script's requests to networks are its session's."""
    session = current()
    if session:
        visits.enter(visits.Visit(session, keeps=True))

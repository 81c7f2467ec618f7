"""Who may look after studies: raters get links into the same server, and must not reach the answers of others by its address.

Without LIMINAL_OWNER_KEY the owner's pages open only on the computer that runs the server; with it, for whoever knows the key.
"""

from __future__ import annotations

import hmac
import os

import streamlit as st

from ui.words import lead

KEY = "LIMINAL_OWNER_KEY"
HERE = ("localhost", "127.0.0.1", "[::1]", "")
OPENED = "owner-opened"


def allowed() -> bool:
    """Whether the visitor may see people's answers."""
    return bool(st.session_state.get(OPENED) or (not os.environ.get(KEY, "") and _local()))


def opened() -> bool:
    """Whether the visitor may go on; else says what to do."""
    if allowed():
        return True
    key = os.environ.get(KEY, "")
    st.title("For the owner of the studies", anchor=False)
    if not key:
        st.html(
            lead(
                "This part shows people's answers, so it opens only on the computer that runs Liminal. "
                f"To open it from elsewhere, start the server with {KEY} set to a password of your own."
            )
        )
        return False
    with st.form("owner-key", border=False):
        given = st.text_input("Password", type="password", width=360)
        sent = st.form_submit_button("Open", type="primary")
    if sent and hmac.compare_digest(given.encode(), key.encode()):
        st.session_state[OPENED] = True
        st.rerun()
    elif sent:
        st.error("This is not the password; ask whoever started the server.")
    return False


def _local() -> bool:
    """From this computer, and through no proxy that says otherwise."""
    headers = st.context.headers
    host = headers.get("Host", "").rpartition(":")[0] or headers.get("Host", "")
    return host in HERE and st.context.ip_address is None and "X-Forwarded-For" not in headers

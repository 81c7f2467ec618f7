"""Who may look after studies: raters get links into the same server, and must not reach the answers of others by its address.

Where nothing is set, the owner's pages open only on the computer that runs the server. Any of these closes them there too, and
opens them elsewhere to whoever it lets in:

- LIMINAL_OWNER_KEY: who knows this password.
- Streamlit's own login ([auth] in .streamlit/secrets.toml): who signs in with an address of LIMINAL_OWNERS.
- LIMINAL_OWNER_HEADER: whom a proxy names in that header, if LIMINAL_OWNERS has the address. The proxy proves itself by
  LIMINAL_PROXY_SECRET in the header X-Liminal-Proxy-Secret; without a secret only connections from this computer are believed.
"""

from __future__ import annotations

import hmac
import importlib.util
import os
import threading
from collections.abc import Mapping
from time import sleep
from urllib.parse import urlsplit

import streamlit as st

from ui.words import fine, lead

KEY, OWNERS, HEADER, SECRET = "LIMINAL_OWNER_KEY", "LIMINAL_OWNERS", "LIMINAL_OWNER_HEADER", "LIMINAL_PROXY_SECRET"
PROOF = "X-Liminal-Proxy-Secret"
FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via")
"""What proxies add: whoever comes with one of these does not sit here."""
HERE = ("localhost", "127.0.0.1", "::1", "")
OPENED = "owner-opened"
PAUSE = 0.5  # seconds that a wrong password costs, whoever tries the next one

_one_at_a_time = threading.Lock()


def allowed() -> bool:
    """Whether the visitor may see people's answers."""
    if not _closed():
        return _local()
    by_password = bool(_set(KEY)) and bool(st.session_state.get(OPENED))
    return by_password or _is_owner(_signed_in()) or _is_owner(_vouched_for())


def opened() -> bool:
    """Whether the visitor may go on; else says what to do."""
    if allowed():
        if _signed_in():
            _way_out()
        return True
    st.title("For the owner of the studies", anchor=False)
    if not _closed():
        st.html(
            lead(
                "This part shows people's answers, so it opens only on the computer that runs Liminal. "
                f"To open it from elsewhere, start the server with {KEY} set to a password of your own."
            )
        )
        return False
    if _set(HEADER) and not _vouched_for():
        st.html(fine("You came here past the proxy that says who visitors are; open the address that you were given."))
    who = _signed_in() or _vouched_for()
    if who:
        st.html(lead("You are signed in, but your address is not among those of the owners; ask whoever started the server."))
    if _has_login():
        _way_out() if _signed_in() else _sign_in()
    if _set(KEY):
        _password()
    return False


def _closed() -> bool:
    """Whether the server asks who somebody is, also on its own computer."""
    return bool(_set(KEY) or _set(HEADER) or _has_login())


def _set(name: str) -> str:
    return os.environ.get(name, "").strip()


def _is_owner(address: str) -> bool:
    return bool(address) and address.casefold() in {each.strip().casefold() for each in _set(OWNERS).split(",") if each.strip()}


def _has_login() -> bool:
    """Streamlit knows this field where its login is set up, and only there."""
    return "is_logged_in" in st.user.to_dict()


def _signed_in() -> str:
    """The address of whoever signed in; "" for nobody, and for an address that its provider has not verified."""
    who = st.user.to_dict()
    verified = str(who.get("email_verified", True)).lower() == "true"
    return str(who.get("email") or "").strip() if who.get("is_logged_in") is True and verified else ""


def _vouched_for() -> str:
    """The address that a trusted proxy names, else ""."""
    name, secret, headers = _set(HEADER), _set(SECRET), st.context.headers
    if not name:
        return ""
    proofs, named = headers.get_all(PROOF), headers.get_all(name)
    proven = len(proofs) == 1 and hmac.compare_digest(proofs[0].encode(), secret.encode())
    trusted = proven if secret else _from_here()
    # Twice: the proxy has added its own to what a visitor sent along.
    return named[0].strip() if trusted and len(named) == 1 else ""


def _from_here() -> bool:
    return st.context.ip_address is None and not any(name in st.context.headers for name in FORWARDED)


def _local() -> bool:
    """From this computer, and through no proxy that says otherwise."""
    headers = st.context.headers
    try:
        hosts = [urlsplit(f"//{headers.get('Host', '')}").hostname, urlsplit(headers.get("Origin", "")).hostname]
    except ValueError:
        return False
    return _from_here() and all((each or "") in HERE for each in hosts)


def _sign_in() -> None:
    if importlib.util.find_spec("authlib") is None:
        st.error("Signing in needs Authlib on the server: run 'pip install -r requirements-login.txt' and start it anew.")
        return
    providers = [name for name, value in st.secrets.get("auth", {}).items() if isinstance(value, Mapping)]
    for name in providers or [""]:
        label = f"Sign in with {name.capitalize()}" if name else "Sign in"
        st.button(label, type="primary", key=f"sign-in-{name}", on_click=st.login, args=(name,) if name else ())


def _way_out() -> None:
    st.button("Sign out", type="tertiary", key="sign-out", icon=":material/logout:", on_click=st.logout)


def _password() -> None:
    with st.form("owner-key", border=False):
        given = st.text_input("Password", type="password", width=360)
        sent = st.form_submit_button("Open", type="primary")
    if not sent:
        return
    with _one_at_a_time:
        right = hmac.compare_digest(given.encode(errors="replace"), _set(KEY).encode())
        if not right:
            sleep(PAUSE)
    if right:
        st.session_state[OPENED] = True
        st.rerun()
    st.error("This is not the password; ask whoever started the server.")

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

from ui.markup import caption_html, intro_html

KEY, OWNERS, HEADER, SECRET = "LIMINAL_OWNER_KEY", "LIMINAL_OWNERS", "LIMINAL_OWNER_HEADER", "LIMINAL_PROXY_SECRET"
PROOF_HEADER = "X-Liminal-Proxy-Secret"
FORWARDED_HEADERS = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via")
"""What proxies add: whoever comes with one of these does not sit here."""
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1", "")
OPENED_SLOT = "owner-opened"
PAUSE_SECONDS = 0.5  # seconds that a wrong password costs, whoever tries the next one

_one_at_a_time = threading.Lock()


def is_allowed() -> bool:
    """Whether the visitor may see people's answers."""
    if not _is_protected():
        return _is_local()
    by_password = bool(_read_setting(KEY)) and bool(st.session_state.get(OPENED_SLOT))
    return by_password or _is_owner(_signed_in()) or _is_owner(_proxy_address())


def require_owner() -> bool:
    """Whether the visitor may see the page; else show what to do."""
    if is_allowed():
        if _signed_in():
            _show_sign_out()
        return True
    st.title("For the owner of the studies", anchor=False)
    if not _is_protected():
        st.html(
            intro_html(
                "This part shows people's answers, so it opens only on the computer that runs Liminal. "
                f"To open it from elsewhere, start the server with {KEY} set to a password of your own."
            )
        )
        return False
    if _read_setting(HEADER) and not _proxy_address():
        st.html(caption_html("You came here past the proxy that says who visitors are; open the address that you were given."))
    who = _signed_in() or _proxy_address()
    if who:
        st.html(intro_html("You are signed in, but your address is not among those of the owners; ask whoever started the server."))
    if _has_login():
        _show_sign_out() if _signed_in() else _show_sign_in()
    if _read_setting(KEY):
        _show_password()
    return False


def _is_protected() -> bool:
    """Whether a visitor must prove to be an owner, on the server's own computer too."""
    return bool(_read_setting(KEY) or _read_setting(HEADER) or _has_login())


def _read_setting(name: str) -> str:
    return os.environ.get(name, "").strip()


def _is_owner(address: str) -> bool:
    return bool(address) and address.casefold() in {
        owner.strip().casefold() for owner in _read_setting(OWNERS).split(",") if owner.strip()
    }


def _has_login() -> bool:
    """Whether Streamlit's login is set up: only then its user has this field."""
    return "is_logged_in" in st.user.to_dict()


def _signed_in() -> str:
    """The verified address of the signed-in user, else ""."""
    who = st.user.to_dict()
    verified = str(who.get("email_verified", True)).lower() == "true"
    return str(who.get("email") or "").strip() if who.get("is_logged_in") is True and verified else ""


def _proxy_address() -> str:
    """The address that a trusted proxy names, else ""."""
    name, secret, headers = _read_setting(HEADER), _read_setting(SECRET), st.context.headers
    if not name:
        return ""
    proofs, named = headers.get_all(PROOF_HEADER), headers.get_all(name)
    proven = len(proofs) == 1 and hmac.compare_digest(proofs[0].encode(), secret.encode())
    trusted = proven if secret else _is_from_here()
    # Twice: the proxy has added its own to what a visitor sent along.
    return named[0].strip() if trusted and len(named) == 1 else ""


def _is_from_here() -> bool:
    return st.context.ip_address is None and not any(name in st.context.headers for name in FORWARDED_HEADERS)


def _is_local() -> bool:
    """Whether the visitor is on this computer: no proxy in between, and a local host name."""
    headers = st.context.headers
    try:
        hosts = [urlsplit(f"//{headers.get('Host', '')}").hostname, urlsplit(headers.get("Origin", "")).hostname]
    except ValueError:
        return False
    return _is_from_here() and all((host or "") in LOCAL_HOSTS for host in hosts)


def _show_sign_in() -> None:
    if importlib.util.find_spec("authlib") is None:
        st.error("Signing in needs Authlib on the server: run 'pip install -r requirements-login.txt' and start it anew.")
        return
    providers = [name for name, value in st.secrets.get("auth", {}).items() if isinstance(value, Mapping)]
    for name in providers or [""]:
        label = f"Sign in with {name.capitalize()}" if name else "Sign in"
        st.button(label, type="primary", key=f"sign-in-{name}", on_click=st.login, args=(name,) if name else ())


def _show_sign_out() -> None:
    st.button("Sign out", type="tertiary", key="sign-out", icon=":material/logout:", on_click=st.logout)


def _show_password() -> None:
    with st.form("owner-key", border=False):
        password = st.text_input("Password", type="password", width=360)
        sent = st.form_submit_button("Open", type="primary")
    if not sent:
        return
    with _one_at_a_time:
        right = hmac.compare_digest(password.encode(errors="replace"), _read_setting(KEY).encode())
        if not right:
            sleep(PAUSE_SECONDS)
    if right:
        st.session_state[OPENED_SLOT] = True
        st.rerun()
    st.error("This is not the password; ask whoever started the server.")

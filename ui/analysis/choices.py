"""Choices that stand in the address under short names, whatever words the page shows for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import streamlit as st

from ui.state import read_number

Look = Literal["buttons", "pills", "list"]


def one_of(
    label: str,
    names: Sequence[str],
    key: str,
    *,
    titles: Mapping[str, str] | None = None,
    look: Look = "buttons",
    default: str | None = None,
    help: str | None = None,
    hidden: bool = False,
) -> str:
    """One of several; what the address says wrongly is passed over. titles: name -> words; default: the first one."""
    usual = default if default in names else names[0]
    asked = st.query_params.get(key)
    widget = f"choice-{key}"
    st.session_state[widget] = asked if asked in names else usual
    shown = titles or {}

    def title(name: str) -> str:
        return shown.get(name, name)

    settings = {
        "key": widget,
        "format_func": title,
        "on_change": _write,
        "args": (key, widget, usual),
        "help": help,
        "label_visibility": "collapsed" if hidden else "visible",
    }
    if look == "list":
        return str(st.selectbox(label, names, **settings))
    widget_of: Callable[..., str | None] = st.pills if look == "pills" else st.segmented_control
    return str(widget_of(label, names, required=True, wrap=True, **settings) or usual)


def number(label: str, low: float, high: float, usual: float, step: float, key: str, *, width: int = 340) -> float:
    """A slider."""
    asked = read_number(key, low, high)
    widget = f"choice-{key}"
    st.session_state[widget] = usual if asked is None else asked
    return float(st.slider(label, low, high, step=step, key=widget, on_change=_write, args=(key, widget, None), width=width))


def open_at(key: str, name: str) -> None:
    """Put a choice into the address, for callbacks."""
    st.query_params[key] = name


def _write(key: str, widget: str, usual: str | None) -> None:
    """What is usual needs no place in the address."""
    value = st.session_state[widget]
    if usual is not None and value == usual:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = str(value)

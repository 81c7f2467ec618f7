"""Selections in the page's address: the item that is open, choices under short names, and the page of a long list.

Opening an item writes its name to the address; closing removes it. Widgets show words, the address holds short names. Defaults are
left out of the query string, and a value that is not among the choices is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from ui.state import read_number

ITEM_PARAMETER = "item"


def select_item(name: str) -> None:
    """Open the item that was pressed."""
    st.query_params[ITEM_PARAMETER] = name


def clear_item() -> None:
    """Close the open item."""
    st.query_params.pop(ITEM_PARAMETER, None)


def selected_item() -> str | None:
    """The item that is open; None where none is."""
    return st.query_params.get(ITEM_PARAMETER)


WidgetStyle = Literal["buttons", "pills", "list"]


def bound_choice(
    label: str,
    names: Sequence[str],
    key: str,
    *,
    titles: Mapping[str, str] | None = None,
    look: WidgetStyle = "buttons",
    default: str | None = None,
    help: str | None = None,
    hidden: bool = False,
) -> str:
    """A widget for one of several names, bound to ``key`` of the address. titles: name -> words; default: the first one."""
    usual = default if default in names else names[0]
    stored = st.query_params.get(key)
    widget = f"choice-{key}"
    st.session_state[widget] = stored if stored in names else usual

    def title(name: str) -> str:
        return (titles or {}).get(name, name)

    settings: dict[str, Any] = {
        "key": widget,
        "format_func": title,
        "on_change": _store_choice,
        "args": (key, widget, usual),
        "help": help,
        "label_visibility": "collapsed" if hidden else "visible",
    }
    if look == "list":
        return str(st.selectbox(label, names, **settings))
    widget_of: Callable[..., str | None] = st.pills if look == "pills" else st.segmented_control
    return str(widget_of(label, names, required=True, wrap=True, **settings) or usual)


def bound_slider(label: str, low: float, high: float, usual: float, step: float, key: str, *, width: int = 340) -> float:
    """A slider bound to ``key`` of the address; ``usual`` where the address names no value."""
    stored = read_number(key, low, high)
    widget = f"choice-{key}"
    st.session_state[widget] = usual if stored is None else stored
    return float(st.slider(label, low, high, step=step, key=widget, on_change=_store_choice, args=(key, widget, None), width=width))


def write_choice(key: str, name: str) -> None:
    """Write a choice to the address, for callbacks."""
    st.query_params[key] = name


def _store_choice(key: str, widget: str, usual: str | None) -> None:
    """Write a widget's value to the address; a default is left out of the query string."""
    value = st.session_state[widget]
    if usual is not None and value == usual:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = str(value)


def paginate(total: int, size: int, key: str, **options: Any) -> slice:
    """The rows of the page that was chosen; where all fit on one there is nothing to choose. options: of ``st.pagination``."""
    pages = -(-total // size)
    page = st.pagination(pages, key=key, **options) if pages > 1 else 1
    return slice((page - 1) * size, min(page * size, total))

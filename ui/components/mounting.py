"""How a component with its own JavaScript is put on the page."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).resolve().parent


@cache
def _source(name: str, kind: str) -> str:
    return (HERE / f"{name}.{kind}").read_text(encoding="utf-8")


def mount(name: str, inner: str = "", *, parts: tuple[str, ...] = ()) -> Any:
    """The component of that name; ``parts``: further JavaScript files that its own builds on, put before it.

    Registered on every run: a cheap dictionary entry, and the registry belongs to the server.
    """
    return st.components.v2.component(
        f"liminal_{name}",
        html=f'<div class="{name}-root">{inner}</div>',
        css=_source(name, "css"),
        js="\n".join(_source(each, "js") for each in (*parts, name)),
        isolate_styles=False,
    )


def picks(key: str, on_pick: Callable[[str], None]) -> Callable[[], None]:
    """The callback of a component's ``picked`` value: hands on the id of what was pressed."""

    def picked() -> None:
        identifier = st.session_state[key].get("picked")
        if identifier:
            on_pick(identifier)

    return picked

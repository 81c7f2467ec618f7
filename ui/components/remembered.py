"""What the browser remembers of a study that it takes part in: the rater's code."""

from __future__ import annotations

from ui.components.mounting import mount


def remembered(study: str, code: str = "", *, forget: bool = False) -> str:
    """Keep ``code`` under the study's token, or (without one) the code that is kept: '' until the browser has told it."""
    value = mount("remembered")(
        data={"study": study, "code": code, "forget": forget},
        key=f"remembered-{study.encode().hex()}",  # a token may hold '__', which a component's key must not
        default={"code": ""},
        on_code_change=lambda: None,
    )
    return str(value.get("code") or "")

"""How people come into a study and leave it, for its owner: the link with the panel's parameters, live numbers, settings, names."""

from __future__ import annotations

import html
from dataclasses import replace
from urllib.parse import urlsplit

import streamlit as st

from core.errors import LiminalError
from core.studies.recruitment import Departure, extend_link
from core.studies.study import Study
from ui import markup, navigation
from ui.markup import caption_html
from ui.studies import access

PANELS = {"": "Nobody, or a parameter that is guessed", "PROLIFIC_PID": "Prolific", "workerId": "MTurk", "survey_code": "SONA"}
"""Where people come from, by the parameter that names them."""

SETTINGS = "settings"
"""Parameter of the page's address: the dialog is open."""

DEPARTURE_LABELS: dict[Departure, str] = {
    "finished": "Who has finished goes to",
    "declined": "Who does not consent goes to",
    "screened_out": "Who is screened out goes to",
    "full": "Who comes when it is full or closed goes to",
}


def make_rater_link(study: Study) -> str:
    """The link for raters, with the host under which the visitor reached this server."""
    parts = urlsplit(st.context.url or "")
    origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return f"{origin}/{navigation.TAKE_PART.url}?study={study.token}"


def show_link(study: Study) -> None:
    """Show the link to send with the study's settings, or that the study is closed."""
    with st.container(key="send", border=True):
        if study.closed:
            st.subheader("This study is closed", anchor=False)
            st.html(caption_html("It takes nobody new and no more answers. What was answered is kept."))
            with st.container(horizontal=True, gap="small"):
                st.button(
                    "Open it again", key="reopen", on_click=_set_closed, args=(study.name, False), icon=":material/lock_open:"
                )
                _show_settings_button(study)
            problem = st.session_state.pop("study-problem", None)
            if problem:
                st.warning(problem)
            return
        st.subheader("Send this link", anchor=False)
        link = extend_link(make_rater_link(study), study.settings)
        st.code(link, language=None, wrap_lines=True)
        parameter = study.settings.participant_parameter
        try_link = make_rater_link(study) + (f"&{parameter}=owner-{study.token[:6]}" if parameter else "")
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.link_button("Try it yourself", try_link, icon=":material/open_in_new:")
            _show_settings_button(study)
            st.button("Close the study", key="close", on_click=_set_closed, args=(study.name, True), icon=":material/lock:")
        host = urlsplit(link).hostname or ""
        local = " It works on this computer only; start the server with an address that others can reach to send it to them."
        named = f" The panel puts everybody's name in the place of what follows {parameter}." if parameter else ""
        st.html(
            caption_html(
                f"Whoever has the link can take part; nothing else is needed.{named} Answers that you give while trying count like "
                f"all others: delete them below.{local if host in ('localhost', '127.0.0.1') else ''}"
            )
        )


def _set_closed(name: str, closed: bool) -> None:
    try:
        access.get_store().change(name, closed=closed)
    except LiminalError as error:
        st.session_state["study-problem"] = str(error)


def show_participation(study: Study) -> None:
    """Show what became of the people who came, if any did. Read from the store on every call: it is live."""
    people = access.get_store().participation(study.name)
    target = study.settings.target
    facts = [
        (f"{people.started:,}", "started"),
        (f"{people.finished:,}", "finished" if target is None else f"finished, of {target:,} that are wanted"),
        (f"{people.working:,}", "taking part just now"),
        (f"{people.declined:,}", "did not consent"),
        (f"{people.screened_out:,}", "screened out"),
        (f"{people.timed_out:,}", "stopped: their places are free again"),
    ]
    if not (people.started or people.declined or people.screened_out):
        return
    cells = "".join(f"<div><b>{number}</b><span>{html.escape(text)}</span></div>" for number, text in facts)
    st.html(f'<div class="numbers six">{cells}</div>')


def _show_settings_button(study: Study) -> None:
    st.button("People and places", key="settings", icon=":material/tune:", on_click=_open_settings)
    if SETTINGS in st.query_params and "stimulus" not in st.query_params:  # one dialog at a time
        show_settings_dialog(study)


def _open_settings() -> None:
    st.query_params.pop("stimulus", None)
    st.query_params[SETTINGS] = "1"


def _close_settings() -> None:
    st.query_params.pop(SETTINGS, None)


@st.dialog("People and places", width="large", on_dismiss=_close_settings)
def show_settings_dialog(study: Study) -> None:
    """Show the settings that may change while the study runs."""
    settings = study.settings
    with st.form("settings-form", border=False):
        known = list(dict.fromkeys([*PANELS, settings.participant_parameter]))
        parameter = st.selectbox(
            "Who names the participants?",
            known,
            index=known.index(settings.participant_parameter),
            format_func=lambda name: f"{PANELS[name]} ({name})" if PANELS.get(name) and name else PANELS.get(name, name),
            accept_new_options=True,
            key="set-parameter",
            help="The parameter of the link by which your panel names everybody. Choose one, or type another.",
        )
        st.html(
            caption_html(
                "Below: an address that begins with https://, or a code to show. {participant} and any other parameter of the link "
                "in braces, such as {SESSION_ID}, are filled in. Empty: people read a thank you."
            )
        )
        ways_out: dict[str, str] = {}
        rows: tuple[tuple[Departure, Departure], ...] = (("finished", "declined"), ("screened_out", "full"))
        for row in rows:  # row by row, so that the order holds on a phone, too
            for column, departure in zip(st.columns(2, gap="medium"), row, strict=True):
                ways_out[departure] = column.text_input(
                    DEPARTURE_LABELS[departure],
                    getattr(settings, departure),
                    key=f"set-{departure}",
                    placeholder="https://… or a code",
                )
        left, right = st.columns(2, gap="medium")
        usual = settings.timeout(study.plan.minutes) if settings.timeout_minutes is None else None
        target = left.number_input(
            "How many should finish?", 1, None, settings.target, step=1, key="set-target", placeholder="as many as come",
            help="The study closes itself once so many have finished, and lets in no more than can still get a place.",
        )  # fmt: skip
        timeout = right.number_input(
            "Minutes until a place is free again", 1, None, settings.timeout_minutes, step=5, key="set-timeout",
            placeholder=f"{usual.total_seconds() / 60:g}" if usual else "three times the study's length",
            help="Whoever gives no answer for so long loses their place to somebody else, so that every face gets as many votes.",
        )  # fmt: skip
        pressed = st.form_submit_button("Save", type="primary")
    if not pressed:
        return
    try:
        changed = replace(
            settings,
            participant_parameter=str(parameter or ""),
            **ways_out,
            target=None if target is None else int(target),
            timeout_minutes=None if timeout is None else int(timeout),
        )
        access.get_store().change(study.name, settings=changed)
    except LiminalError as error:
        st.error(str(error))
        return
    _close_settings()
    st.rerun()


def show_participants(study: Study) -> None:
    """Show what a panel calls the raters, hidden until it is asked for, and how to drop it."""
    records = access.get_store().participants(study.name)
    if not records:
        return
    with st.expander(f"What the panel calls them ({len(records):,})", icon=":material/badge:"):
        st.html(
            caption_html(
                "Personal data: kept apart from the answers, in no download, deleted with the person. You need them to pay people."
            )
        )
        raters = {rater.rater: rater for rater in access.get_store().raters(study.name)}
        rows = [
            {
                "Participant": record.participant,
                "Who": record.rater,
                "State": raters[record.rater].state,
                "From the link": ", ".join(f"{name}={value}" for name, value in record.parameters.items()),
            }
            for record in records
            if record.rater in raters
        ]
        st.dataframe(rows, hide_index=True, key="participants")
        sure = st.checkbox("Yes, drop all these names; the answers stay", key="drop-sure", disabled=not study.closed)
        if st.button("Drop the names", key="drop-names", disabled=not (sure and study.closed)):
            try:
                dropped = access.get_store().drop_participants(study.name)
            except LiminalError as error:
                st.error(str(error))
                return
            st.toast(f"{markup.count_noun(dropped, 'name')} dropped.")
            st.rerun()
        if not study.closed:
            st.html(caption_html("Names can be dropped once the study is closed: without them people could take part twice."))

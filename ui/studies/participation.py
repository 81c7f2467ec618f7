"""How people come into a study and leave it, for its owner: the link with the panel's parameters, live numbers, settings, names."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from core.errors import LiminalError
from core.studies.recruitment import Departure, extend_link
from core.studies.screening import EXAMPLE_QUESTIONS, INPUT_DEVICES, MAX_PRACTICE, MAX_REFRESH, MAX_WINDOW, InputDevice
from core.studies.study import Study
from core.studies.words import BY_BROWSER, CODE_KEY, LANGUAGE_NAMES, OWN_TABLE, load_words, read_word_table, write_word_table
from ui import markup, navigation
from ui.markup import caption_html
from ui.studies import access
from ui.studies.screening import load_practice

PANELS = {"": "Nobody, or a parameter that is guessed", "PROLIFIC_PID": "Prolific", "workerId": "MTurk", "survey_code": "SONA"}
"""Where people come from, by the parameter that names them."""

SETTINGS = "settings"
"""Parameter of the page's address: which dialog is open, people, screening or words."""

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
                _show_preview_link(study)
                _show_settings_button(study)
            problem = st.session_state.pop("study-problem", None)
            if problem:
                st.warning(problem)
            return
        st.subheader("Send this link", anchor=False)
        link = extend_link(make_rater_link(study), study.settings)
        st.code(link, language=None, wrap_lines=True)
        parameter = study.settings.participant_parameter
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            _show_preview_link(study)
            _show_settings_button(study)
            st.button("Close the study", key="close", on_click=_set_closed, args=(study.name, True), icon=":material/lock:")
        host = urlsplit(link).hostname or ""
        local = " It works on this computer only; docs/host-it.md says how others reach it."
        named = f" The panel puts everybody's name in the place of what follows {parameter}." if parameter else ""
        st.html(
            caption_html(
                f"Whoever has the link can take part; nothing else is needed.{named} The preview shows you the whole study as "
                f"raters see it; nothing that you answer there is kept.{local if host in ('localhost', '127.0.0.1') else ''}"
            )
        )


def _show_preview_link(study: Study) -> None:
    st.page_link(
        navigation.build_page(navigation.TAKE_PART),
        label="Preview",
        icon=":material/visibility:",
        query_params={"study": study.token, access.PREVIEW: "1"},
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
    st.button("People and places", key="settings", icon=":material/tune:", on_click=_open_dialog, args=("people",))
    st.button("Who may take part", key="screening", icon=":material/rule:", on_click=_open_dialog, args=("screening",))
    st.button("Language", key="words", icon=":material/translate:", on_click=_open_dialog, args=("words",))
    if "stimulus" in st.query_params:  # one dialog at a time
        return
    opened = st.query_params.get(SETTINGS)
    if opened == "people":
        show_people_dialog(study)
    elif opened == "screening":
        show_screening_dialog(study)
    elif opened == "words":
        show_words_dialog(study)


def _open_dialog(name: str) -> None:
    st.query_params.pop("stimulus", None)
    st.query_params[SETTINGS] = name


def _close_settings() -> None:
    st.query_params.pop(SETTINGS, None)


@st.dialog("People and places", width="large", on_dismiss=_close_settings)
def show_people_dialog(study: Study) -> None:
    """Show the settings that may change while the study runs."""
    settings = study.settings
    with st.form("people-form", border=False):
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
    if pressed:
        _save_settings(
            study,
            participant_parameter=str(parameter or ""),
            **ways_out,
            target=None if target is None else int(target),
            timeout_minutes=None if timeout is None else int(timeout),
        )


INPUT_LABELS: dict[InputDevice, str] = {
    "any": "Anything",
    "mouse": "A mouse or touchpad",
    "touch": "A touch screen",
    "keyboard": "A keyboard",
}


@st.dialog("Who may take part", width="large", on_dismiss=_close_settings)
def show_screening_dialog(study: Study) -> None:
    """Show what a device must have, the practice and the questions on the instructions."""
    settings = study.settings
    with st.form("screening-form", border=False):
        left, middle, right = st.columns(3, gap="medium")
        width = left.number_input("Window: width in pixels, at least", 0, MAX_WINDOW, settings.min_width, step=50, key="set-width")
        height = middle.number_input(
            "Window: height in pixels, at least", 0, MAX_WINDOW, settings.min_height, step=50, key="set-height"
        )
        refresh = right.number_input(
            "Screen: pictures a second, at least", 0, MAX_REFRESH, settings.min_refresh, step=5, key="set-refresh"
        )
        left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
        device = left.selectbox(
            "What must a device have?", INPUT_DEVICES, INPUT_DEVICES.index(settings.input_device),
            format_func=INPUT_LABELS.__getitem__, key="set-device",
        )  # fmt: skip
        phones = right.toggle("People may take part on a phone", settings.phones, key="set-phones")
        st.html(caption_html("0: not asked for. Whoever lacks something reads what to change, and goes on once it is changed."))
        practice = st.number_input(
            "Practice trials with feedback", 0, MAX_PRACTICE, settings.practice, step=1, key="set-practice", width=320,
            help="Clear faces of no study. Nothing of them is kept.",
        )  # fmt: skip
        questions = st.text_area(
            "Questions on the instructions", settings.questions, height=230, key="set-questions",
            placeholder=EXAMPLE_QUESTIONS[study.plan.kind],
            help="A question, below it its answers: the right one after a star, others after a dash; an empty line between two "
            "questions. Whoever answers wrongly twice is screened out.",
        )  # fmt: skip
        pressed = st.form_submit_button("Save", type="primary")
    if not pressed:
        return
    if practice:
        load_practice(study.plan.kind, int(practice))  # the first rater need not wait for them
    _save_settings(
        study, min_width=int(width), min_height=int(height), min_refresh=int(refresh), input_device=device, phones=phones,
        practice=int(practice), questions=questions,
    )  # fmt: skip


@st.dialog("Language", width="large", on_dismiss=_close_settings)
def show_words_dialog(study: Study) -> None:
    """Show in which language raters read, and the table of words to take away, edit and bring back."""
    settings = study.settings
    own = name_own_language(settings.words)
    labels: dict[str, str] = {BY_BROWSER: "What each browser asks for"}
    labels |= {str(code): title for code, title in LANGUAGE_NAMES.items()}
    labels |= {OWN_TABLE: f"Your own table ({own})"} if own else {}
    language = st.selectbox(
        "In which language do people take part?",
        list(labels),
        list(labels).index(settings.language),
        format_func=labels.__getitem__,
        key="set-language",
        help="Sentences, buttons and names of emotions. Your own heading, consent and questions are shown as you wrote them.",
    )
    st.html(
        caption_html(
            "Another language, or other words: take a table away, write your text into its last column, and bring it back. A "
            "browser that asks for its language then gets it."
        )
    )
    with st.container(horizontal=True, gap="small"):
        for code, title in LANGUAGE_NAMES.items():
            st.download_button(
                f"{title} as CSV", write_word_table(load_words(code).texts), f"words-{code}.csv", "text/csv",
                key=f"words-{code}", icon=":material/download:", on_click="ignore",
            )  # fmt: skip
        if own:
            st.download_button(
                "Your own as CSV", write_word_table(settings.words), f"words-{own}.csv", "text/csv", key="words-own",
                icon=":material/download:", on_click="ignore",
            )  # fmt: skip
    file = st.file_uploader("A table of your own", type=["csv", "txt"], key="set-words")
    drop = bool(own) and st.checkbox("Take my own table out", key="drop-words")
    if not st.button("Save", type="primary", key="save-words"):
        return
    try:
        words = read_word_table(file.getvalue()) if file is not None else {} if drop else settings.words
    except LiminalError as error:
        st.error(str(error))
        return
    if file is not None:
        language = OWN_TABLE if language == settings.language else language
    elif drop and language == OWN_TABLE:
        language = BY_BROWSER
    _save_settings(study, language=language, words=words)


def name_own_language(words: Mapping[str, str]) -> str:
    """The language of a study's own table, '' without one."""
    return words.get(CODE_KEY, "en") if words else ""


def _save_settings(study: Study, **values: Any) -> None:
    """Change the settings and close the dialog, or say in it what is wrong."""
    try:
        access.get_store().change(study.name, settings=replace(study.settings, **values))
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
    with st.expander(f"What the panel calls them ({len(records):,})"):
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

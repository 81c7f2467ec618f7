"""The page 'Statistics': the sections of one study, one open at a time, and a report as one file that works offline."""

from __future__ import annotations

import streamlit as st

from core.errors import LiminalError
from core.figures.contents import choose_default_view, list_sections, split_sections
from core.figures.exhibit import Exhibit, ExhibitView, Section, build_file_name
from core.figures.report import build_report
from core.figures.verification import list_thresholds
from core.models import registry
from core.progress import Progress
from ui import progress as running
from ui.analysis.figure_card import show_figure_card
from ui.analysis.study_choice import StudyChoice
from ui.jobs import find_or_start_job, get_job_manager
from ui.markup import caption_html, intro_html
from ui.selection import bound_choice, bound_slider, write_choice
from ui.studies import access

REPORT_SLOT = "report-job"
PICTURES_IN_REPORT = "report-with-pictures"


def show_report_button(chosen: StudyChoice) -> None:
    """Show the button that makes a report, then its progress, then the download."""
    study_data, library = chosen.study_data, access.get_library()
    own = access.asks_about_own_pictures(chosen.study)
    pictured = own and st.session_state.get(PICTURES_IN_REPORT, False)
    key = (chosen.key, pictured)
    started = st.session_state.get(REPORT_SLOT)
    job = get_job_manager().get(started[1]) if started is not None and started[0] == key else None
    with st.container(key="report", horizontal=True, gap="small", vertical_alignment="center"):
        if job is None or (job.finished and job.status != "done"):
            if st.button("Make a report to send", icon=":material/description:", key="make-report"):
                st.session_state.pop(REPORT_SLOT, None)
                job = find_or_start_job(
                    REPORT_SLOT,
                    key,
                    "A report",
                    lambda progress: build_report(study_data, library, own_pictures=pictured, progress=progress).encode(),
                )
            else:
                if job is not None:
                    running.show_outcome(job)
                what = "figures and methods, without your pictures" if own and not pictured else "figures, faces and methods"
                st.html(caption_html(f"One file with all {what}; it opens offline and prints."))
        if job is not None and not job.finished:
            running.watch_job(job.id)
        elif job is not None and job.status == "done":
            size = len(job.result) / 1e6
            st.download_button(
                f"Download the report ({size:.1f} MB)",
                job.result,
                f"{build_file_name(chosen.study.name, 'report')}.html",
                "text/html",
                key="download-report",
                type="primary",
                icon=":material/download:",
                on_click="ignore",
            )
    if own:
        st.toggle(
            "Show your own pictures in it",
            key=PICTURES_IN_REPORT,
            help="Only where the people in them agreed to be shown to others.",
        )


SECTION, LIMIT, OWN = "section", "limit", "threshold"
MORE = "statistics-more"
"""In the session: whether the reader asked for all chapters."""
CUSTOM_LIMIT = "any"


def show_statistics(chosen: StudyChoice) -> None:
    """Show the table of contents and the section of the address."""
    first, more = split_sections(chosen.study_data)
    section = _choose_section(
        first, more, has_answers=bool(len(chosen.study_data.ratings)), has_means=chosen.study_data.imported_means is not None
    )
    st.header(section.question, anchor=section.key)
    view = _build_view(chosen, section)
    try:
        exhibits = (
            _run_slow_section(chosen, section, view) if section.slow else _load_exhibits(chosen.key, section.key, view, chosen)
        )
    except LiminalError as error:
        st.info(str(error))
        return
    _show_cards(chosen, section, exhibits)
    _show_next_section((*first, *more), section)


def _choose_section(first: tuple[Section, ...], more: tuple[Section, ...], *, has_answers: bool, has_means: bool) -> Section:
    """Sections as pills; the one of the address is open. ``more`` are shown on request, and where one of them is open."""
    wanted = st.query_params.get(SECTION) in [section.key for section in more]
    expanded = wanted or bool(st.session_state.get(MORE))
    by_key = {section.key: section for section in ((*first, *more) if expanded else first)}
    with st.container(key="contents", horizontal=True, vertical_alignment="center", gap="small"):
        picked = bound_choice(
            "Chapters",
            list(by_key),
            SECTION,
            titles={key: section.title for key, section in by_key.items()},
            look="pills",
            hidden=True,
        )
        if not wanted:
            st.button(
                "Fewer" if expanded else "More",
                key="contents-more",
                type="tertiary",
                icon=":material/expand_less:" if expanded else ":material/expand_more:",
                on_click=_show_more,
                args=(not expanded,),
            )
    if has_means:
        st.info("Imported means: they are shown by type of sample and in correlations; single answers are not known.")
    elif not has_answers:
        st.info("Nobody has answered yet: only what models say can be shown.")
    return by_key[picked]


def _show_more(expanded: bool) -> None:
    st.session_state[MORE] = expanded


def _build_view(chosen: StudyChoice, section: Section) -> ExhibitView:
    """Widgets for what the section depends on: recogniser, threshold, classifier."""
    first = choose_default_view(chosen.study_data)
    recogniser, threshold, classifier = first.recogniser, None, first.classifier
    if not section.uses:
        return first
    with st.container(horizontal=True, gap="large", vertical_alignment="bottom", key="choices"):
        if "recogniser" in section.uses and first.recogniser:
            recogniser = choose_recogniser(chosen)
        if "threshold" in section.uses and recogniser:
            threshold = _choose_threshold(chosen, recogniser)
        if "classifier" in section.uses and first.classifier:
            classifier = _choose_model("By which network?", list(chosen.study_data.classifiers), "classifier")
    return ExhibitView(recogniser, threshold, classifier)


def choose_recogniser(chosen: StudyChoice) -> str:
    """A widget for the recogniser, among those with a threshold."""
    known = [name for name in chosen.study_data.recognisers if name in chosen.study_data.thresholds]
    return _choose_model("Recogniser", known, "recogniser")


def _choose_model(label: str, names: list[str], key: str) -> str:
    """A widget for one of several models; none where there is one model only."""
    return (
        (names[0] if names else "")
        if len(names) < 2
        else bound_choice(label, names, key, titles={name: registry.title(name) for name in names})
    )


def _choose_threshold(chosen: StudyChoice, recogniser: str) -> float | None:
    """A widget for the threshold: the default (None), a calibrated one, or any other."""
    marks = list_thresholds(chosen.study_data, recogniser)
    names = {_threshold_slug(words): value for words, value in marks.items()}
    words = {_threshold_slug(mark): f"{mark}: {value:.3g}" for mark, value in marks.items()} | {CUSTOM_LIMIT: "any other"}
    picked = bound_choice(
        "Threshold",
        list(words),
        LIMIT,
        titles=words,
        help="Below it the recogniser takes two faces for one person. Calibrated: the stated share of two random faces of this "
        "generator is accepted.",
    )
    if picked != CUSTOM_LIMIT:
        return None if picked == "default" else names[picked]
    column = chosen.study_data.pairs[f"distance_{recogniser}"]
    top = round(max(float(column.max()) if column.notna().any() else 1.0, *names.values()) + 0.05, 2)
    usual = min(top, round(next(iter(names.values()), 0.5), 2))
    return bound_slider("Accepted below a distance of", 0.01, top, usual, 0.01, OWN)


def _threshold_slug(words: str) -> str:
    """'calibrated to 0.1 %' -> 'calibrated-0.1', which reads well in an address."""
    return words.replace(" to ", "-").replace(" %", "")


@st.cache_resource(show_spinner="Working it out", max_entries=64)
def _load_exhibits(key: str, section: str, view: ExhibitView, _chosen: StudyChoice) -> list[Exhibit]:
    """The exhibits of a section, cached until an answer comes in or goes."""
    wanted = next(entry for entry in list_sections(_chosen.study_data) if entry.key == section)
    return wanted.make(_chosen.study_data, view, Progress())


def _run_slow_section(chosen: StudyChoice, section: Section, view: ExhibitView) -> list[Exhibit]:
    """The exhibits of a slow section, made by a job on request; [] until they are there."""
    slot, study_data = f"job-{section.key}", chosen.study_data
    wanted = (chosen.key, section.key)
    started = st.session_state.get(slot)
    if started is None or started[0] != wanted:
        faces = len(study_data.where)
        st.html(intro_html(f"This measures {faces:,} faces and grows some forests; it takes about a minute, once."))
        if not st.button(
            "Measure the faces", type="primary", key=f"start-{section.key}", icon=":material/play_arrow:", disabled=not faces
        ):
            return []
    job = find_or_start_job(slot, wanted, section.question, lambda progress: section.make(study_data, view, progress))
    if not job.finished:
        running.watch_job(job.id)
        return []
    running.show_outcome(job)
    return list(job.result) if job.status == "done" else []


def _show_cards(chosen: StudyChoice, section: Section, exhibits: list[Exhibit]) -> None:
    """Show exhibits below each other, or two in a row in the sections of PAIRED_EXHIBITS."""
    wide = section.key not in PAIRED_EXHIBITS
    for start in range(0, len(exhibits), 1 if wide else 2):
        row = exhibits[start : start + (1 if wide else 2)]
        columns = [st.container()] if wide else st.columns(2, gap="large")
        for column, exhibit in zip(columns, row, strict=False):
            with column:
                show_figure_card(exhibit, f"{section.key}-{exhibit.key}", name=build_file_name(chosen.study.name, exhibit.key))


PAIRED_EXHIBITS = ("types", "similarity", "decisions", "threshold", "divided", "classifiers", "mixed")
"""Sections whose figures stand two in a row."""


def _show_next_section(every: tuple[Section, ...], section: Section) -> None:
    """A button that leads to the next section."""
    index = every.index(section)
    if index + 1 < len(every):
        following = every[index + 1]
        st.button(
            following.question,
            key="onwards",
            type="tertiary",
            icon=":material/arrow_forward:",
            on_click=write_choice,
            args=(SECTION, following.key),
        )

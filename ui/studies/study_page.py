"""One study for its owner: the link to send, participation, exclusion rules, raters, votes on each face, downloads and deletion."""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

import pandas as pd
import streamlit as st

from core.alignment.store import delete_study, forget_rater
from core.analysis.answer_table import make_table_files
from core.analysis.study_data import build_study_data
from core.errors import LiminalError
from core.figures import theme
from core.figures.answers import plot_reaction_times, plot_votes_per_image
from core.figures.theme import format_percent
from core.sampling.configuration import FILES_KEY
from core.studies.exclusions import ExclusionRules, Exclusions
from core.studies.exporting import bundle, tables
from core.studies.overview import StudyOverview, summarise_study
from core.studies.ratings import UNKNOWN_TIME, Task
from core.studies.study import QUESTIONS, Question, Rater, RatingPlan, Stimulus, Study
from ui import components, markup, navigation
from ui.markup import bars_html, caption_html, intro_html
from ui.selection import paginate
from ui.studies import access, new_study, participation
from ui.studies.access import AnswersVersion
from ui.studies.face_choice import show_choice
from ui.studies.figures import show_figure


def show_downloads(study: Study) -> None:
    """Show three downloads, each made when it is pressed."""
    name = re.sub(r"[^\w-]+", "-", study.name).strip("-").lower() or "study"
    st.subheader("Take it away", anchor=False)
    with st.container(horizontal=True, gap="small"):
        _show_download_button("Answers (CSV)", lambda: tables.csv_bytes(access.load_ratings(study)), f"{name}.csv", "text/csv")
        _show_download_button(
            "Answers (Parquet)",
            lambda: tables.parquet_bytes(access.load_ratings(study)),
            f"{name}.parquet",
            "application/vnd.apache.parquet",
        )
        about, pictured = (st.session_state.get(name, False) for name in ("with-demographics", "with-pictures"))
        _show_download_button(
            "Everything (bundle)",
            lambda: bundle.make_bundle(
                access.get_store(), access.get_library(), study.name, demographics=about, own_pictures=pictured
            ),
            f"{name}.zip",
            "application/zip",
        )
        _show_download_button(
            "Table for R (zip)", lambda: make_table_archive(study, name, about), f"{name}-table.zip", "application/zip"
        )
    st.toggle("Put age and gender into the bundle and the table", key="with-demographics")
    own = access.asks_about_own_pictures(study)
    if own:
        st.toggle("Put your own pictures into the bundle", key="with-pictures", help="They leave this computer with it.")
    st.html(
        caption_html(
            "The table has one row an answer, with what was shown, what every model says of it, times and device, and whether the "
            "rules for inattentive people leave it out; with it come a data dictionary and an R script (lme4) that fits this app's "
            "mixed model. The bundle holds faces, latents, what networks say, every answer, a data card and a list of hashes; it "
            "can be brought in again unchanged. Answers of people who are left out by a rule are in all of them."
        )
    )


def make_table_archive(study: Study, name: str, demographics: bool) -> bytes:
    """The answer table, its data dictionary and the R script as one zip file, under the rules that are on."""
    raters = access.get_store().raters(study.name)
    study_data = build_study_data(
        study,
        access.load_stimuli(study),
        raters,
        access.load_ratings(study),
        access.get_library(),
        rules=active_rules(study.plan),
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in make_table_files(study_data, name, "csv", demographics=demographics).items():
            archive.writestr(file, content)
    return buffer.getvalue()


def _show_download_button(label: str, content: str | bytes | Callable[[], bytes], name: str, kind: str) -> None:
    st.download_button(label, content, name, kind, key=f"download {label}", icon=":material/download:", on_click="ignore")


REFRESH_SECONDS = 10.0
FEW_VOTES = 12


@dataclass(frozen=True)
class RuleSwitch:
    """A rule that can be switched off. title: with the study's limits in braces."""

    name: str  # the field of ExclusionRules, and of the address
    title: str
    questions: tuple[Question, ...] = QUESTIONS


RULE_SWITCHES = (
    RuleSwitch("sentinels", "Missed attention checks: {share:.0%} right or fewer", ("identity", "emotion", "labels")),
    RuleSwitch("too_fast", "Too fast: half of the answers within {seconds:g} seconds"),
    RuleSwitch("same_answer", "Always the same answer", ("identity", "emotion", "labels")),
    RuleSwitch("constant_similarity", "One point of the scale on everything", ("identity", "scale")),
)


def active_rules(plan: RatingPlan) -> ExclusionRules:
    """The rules that are on, with the plan's limits: all, unless a switch or the address says otherwise."""
    off = {switch.name: False for switch in RULE_SWITCHES if plan.asks in switch.questions and not _is_rule_on(switch)}
    return replace(ExclusionRules.of_plan(plan), **off)


def _is_rule_on(switch: RuleSwitch) -> bool:
    """Whether a rule is on: the widget knows it before the address does."""
    turned = st.session_state.get(switch.name)
    return bool(turned) if turned is not None else st.query_params.get(switch.name) != "false"


def show_overview(study: Study) -> StudyOverview:
    """Show the overview, refreshed while people can answer, and return it for the parts of the page below."""
    live = study.asks_people and not study.closed
    st.fragment(_show_live_overview, run_every=REFRESH_SECONDS if live else None)(study.name)
    overview = _load_overview(study)  # outside the fragment: a switch changes what is counted below, too
    if overview.progress.answered:
        _show_exclusions(study, overview)
    return overview


def _load_overview(study: Study) -> StudyOverview:
    raters = access.get_store().raters(study.name)
    finished = sum(rater.finished_at is not None for rater in raters)
    return _compute_overview(access.answers_version(study), (len(raters), finished), active_rules(study.plan), study, raters)


@st.cache_resource(show_spinner=False, max_entries=8)
def _compute_overview(
    version: AnswersVersion, people: tuple[int, int], rules: ExclusionRules, _study: Study, _raters: list[Rater]
) -> StudyOverview:
    """The overview, cached. people: numbers of enrolled and finished raters, which change without an answer."""
    return summarise_study(_study, access.load_stimuli(_study), _raters, access.load_ratings(_study), rules)


def _show_live_overview(name: str) -> None:
    study = access.get_store().study(name)
    ratings = access.load_ratings(study)
    overview = _load_overview(study)
    st.subheader("How it goes", anchor=False)
    if study.asks_people:
        participation.show_participation(study)
    st.html(_show_numbers(study, overview))
    if overview.progress.finished and study.source == "human":
        least, most = overview.finished_votes.least, overview.finished_votes.most
        noun = "pair" if study.plan.kind == "identity" else "face"
        spread = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        st.html(caption_html(f"Of those who have finished every {noun} has {spread} {'vote' if most == least == 1 else 'votes'}."))
    _offer_new_answers(study)
    if ratings.empty:
        st.html(caption_html("As soon as somebody answers, it shows here by itself."))
        return

    source = study.source  # single answers are those of people, also where they were brought in
    votes, times = st.columns(2, gap="large")
    with votes:
        st.markdown("**Votes an image**" if study.plan.kind == "emotion" else "**Votes a pair**")
        noun = "image" if study.plan.kind == "emotion" else "pair"
        figure = plot_votes_per_image(list(overview.votes.by_stimulus.values()), source=source, noun=noun)
        if overview.votes.most <= FEW_VOTES:
            figure.update_xaxes(dtick=1)  # there are no half votes
        show_figure(figure, "votes")
    with times:
        st.markdown("**Reaction times**")
        main = ratings[ratings["task"] == study.plan.main_task]
        show_figure(plot_reaction_times(main, source=source, published=study.plan.asks == "emotion"), "reaction-times")


def _show_numbers(study: Study, overview: StudyOverview) -> str:
    progress, votes = overview.progress, overview.votes
    share = progress.answered / progress.expected if progress.expected else 0.0
    people = "observers" if study.source == "simulated" else "people"
    noun = "pair" if study.plan.kind == "identity" else "face"
    spread = f" (median; {votes.least:,} to {votes.most:,})" if votes.least < votes.most else ""
    left_out = len(overview.exclusions.reasons)
    rules = f"; {left_out:,} {'is' if left_out == 1 else 'are'} left out by the rules below" if progress.answered else ""
    facts = [
        (f"{progress.begun:,}", f"{people} have answered"),
        (f"{progress.answered:,}", f"trials answered: {format_percent(share)} of those handed out"),
        (f"{votes.median:g}", f"votes a {noun}{spread}, attention checks aside"),
        (f"{len(overview.exclusions.included):,}", f"{people} count{rules}"),
    ]
    cells = "".join(f"<div><b>{number}</b><span>{html.escape(text)}</span></div>" for number, text in facts)
    return f'<div class="numbers">{cells}</div>'


def _show_exclusions(study: Study, overview: StudyOverview) -> None:
    """Show the exclusion rules as switches; they delete no answers."""
    st.markdown("**Whose answers count?**")
    left, right = st.columns(2, gap="large")
    with left:
        for switch in RULE_SWITCHES:
            if study.plan.asks in switch.questions:
                limits = {"share": study.plan.sentinel_share, "seconds": study.plan.fastest_ms / 1000}
                st.toggle(switch.title.format(**limits).replace("%", " %"), True, key=switch.name, bind="query-params")
        st.html(
            caption_html("A rule leaves somebody out of what is worked out; it deletes nothing, and can be switched off again.")
        )
    with right:
        reasons = overview.exclusions.reasons
        if not reasons:
            st.html('<div class="reasons"><p>Nobody falls under these rules.</p></div>')
        else:
            rows = "".join(
                f"<li><b>{html.escape(rater)}</b><span>{html.escape(' '.join(why))}</span></li>" for rater, why in reasons.items()
            )
            st.html(f'<ul class="reasons">{rows}</ul>')


MAX_LISTED = 500


def show_people(study: Study) -> None:
    """Show a table of raters, the form that deletes one, and what was deleted."""
    ratings = access.load_ratings(study)
    table = _people_table(study, ratings)
    if table.empty and not access.get_store().deletions(study.name):
        return
    simulated = study.source != "human"
    st.subheader("Observers" if simulated else "People", anchor=False)
    if not table.empty:
        st.dataframe(
            table.head(MAX_LISTED),
            hide_index=True,
            key="people",
            column_config={
                "Answered": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0),
                "Began": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
            },
        )
        if len(table) > MAX_LISTED:
            st.html(caption_html(f"The first {MAX_LISTED:,} of {len(table):,}; the download has all."))
    if not simulated and not table.empty:
        with st.popover("Delete one person's data", icon=":material/person_remove:"):
            _delete_people(study, list(table["Who"]))
    for deletion in access.get_store().deletions(study.name):
        if deletion.what == "rater":
            reason = f" Reason given: {deletion.reason}." if deletion.reason else ""
            gone = f"{deletion.deleted_at:%d %B %Y}: one person's data were deleted on request"
            st.html(caption_html(f"{gone} ({markup.count_noun(deletion.answers, 'answer')}).{reason}"))


def _people_table(study: Study, ratings: pd.DataFrame) -> pd.DataFrame:
    enrolled = {rater.rater: rater for rater in access.get_store().raters(study.name)}
    groups = ratings.groupby("rater")
    trials = groups["stimulus"].nunique()
    times = groups["reaction_time_ms"].median()
    first = groups["created_at"].min()
    rows = []
    for name in dict.fromkeys([*enrolled, *trials.index]):
        rater = enrolled.get(name)
        done = int(trials.get(name, 0))
        median = times.get(name)
        rows.append(
            {
                "Who": name,
                "From": markup.SOURCE_NAMES[study.source],
                "Began": rater.created_at if rater else _format_time(first.get(name)),
                "Answered": done / len(rater.trials) if rater and rater.trials else 1.0,
                "Trials": done,
                "Finished": "yes" if rater is None or rater.finished_at else "not yet",
                "Half of the answers within (s)": "" if median is None or pd.isna(median) else f"{median / 1000:.1f}",
                "Age": str((rater.demographics if rater else {}).get("age", "")),
                "Gender": str((rater.demographics if rater else {}).get("gender", "")),
                "How they decided": rater.strategy if rater else "",
            }
        )
    table = pd.DataFrame(rows)
    empty = [name for name in ("Age", "Gender", "How they decided") if not table.empty and not table[name].astype(bool).any()]
    return table.drop(columns=empty)


def _format_time(moment: object) -> object:
    return None if moment == UNKNOWN_TIME else moment


def _delete_people(study: Study, names: list[str]) -> None:
    st.html(
        intro_html(
            "Deletes everything that one person said, for good. A record stays that something was deleted, without the name."
        )
    )
    name = st.selectbox("Who?", names, index=None, placeholder="Choose the name on the person's answers", key="forget-who")
    reason = st.text_input("Why? (kept in the record; no names)", max_chars=200, key="forget-why")
    sure = st.checkbox("Yes, delete this person's answers", key="forget-sure")
    if st.button("Delete the answers", type="primary", disabled=not (name and sure), key="forget"):
        try:
            deletion = forget_rater(access.get_store(), study.name, str(name), reason.strip())
        except LiminalError as error:
            st.error(str(error))
            return
        st.toast(f"{markup.count_noun(deletion.answers, 'answer')} deleted.")
        st.rerun()


PAGE_SIZE, TILES_ACROSS = 24, 6
MAX_NAME_LENGTH = 20  # characters of a name in place of a picture
STIMULUS_ORDERS = {"split": "most split", "clear": "most agreed", "votes": "most votes", "as-made": "as they were made"}


def show_stimuli(study: Study, left_out: Exclusions) -> None:
    """Show a page of faces in the chosen order; pressing one opens its votes. left_out: the raters who are not counted."""
    stimuli = access.load_stimuli(study)
    st.subheader("What was said of each", anchor=False)
    if not stimuli:
        st.html(caption_html("This study knows no faces."))
        return
    order = st.segmented_control(
        "Order",
        list(STIMULUS_ORDERS),
        default="split",
        format_func=STIMULUS_ORDERS.__getitem__,
        key="order",
        bind="query-params",
        required=True,
    )
    everybody = access.load_ratings(study)
    ratings = left_out.filter(everybody)
    votes, all_votes = _count_votes(study, ratings), _count_votes(study, everybody)
    ordered = _order_stimuli(stimuli, votes, str(order))
    page = ordered[paginate(len(ordered), PAGE_SIZE, "page", bind="query-params")]
    tiles = [
        _stimulus_tile(study, stimulus, votes.get(stimulus.stimulus, {}), all_votes.get(stimulus.stimulus, {})) for stimulus in page
    ]
    components.show_faces(
        [components.FaceGroup(tiles, columns=TILES_ACROSS)], key="stimuli", on_pick=_select_stimulus, layout="rows", tile="11rem"
    )
    st.html(caption_html(markup.describe_stimuli(study, stimuli)))
    if left_out.raters and not left_out.included:
        st.html(caption_html("Everybody who answered is left out by the rules above; switch one off, and their answers count."))
    elif left_out.raters:
        st.html(caption_html("Answers of people whom the rules above leave out are not counted here."))
    chosen = next((stimulus for stimulus in stimuli if stimulus.stimulus == st.query_params.get("stimulus")), None)
    if chosen is not None:
        _show_stimulus_dialog(study, chosen, ratings, all_votes.get(chosen.stimulus, {}))


def _count_votes(study: Study, ratings: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Votes of the main question: stimulus -> answer -> number."""
    rows = ratings[ratings["task"] == study.plan.main_task]
    counted = rows.groupby(["stimulus", "value"], sort=False).size().reset_index(name="votes")
    votes: dict[str, dict[str, int]] = {}
    for stimulus, value, number in counted.itertuples(index=False):
        votes.setdefault(str(stimulus), {})[str(value)] = int(number)
    return votes


def _order_stimuli(stimuli: list[Stimulus], votes: dict[str, dict[str, int]], order: str) -> list[Stimulus]:
    if order == "as-made":
        return stimuli

    def rank(stimulus: Stimulus) -> tuple[float, ...]:
        answers = votes.get(stimulus.stimulus, {})
        total = sum(answers.values())
        top = max(answers.values(), default=0) / total if total else 0.0
        if order == "votes":
            return (-total,)
        return (float(total == 0), top if order == "split" else -top, -total)

    return sorted(stimuli, key=rank)


def _stimulus_tile(study: Study, stimulus: Stimulus, answers: dict[str, int], all_answers: dict[str, int]) -> components.Tile:
    """A face with the most frequent answer. answers: those that count; all_answers: with those of people who are left out."""
    total = sum(answers.values())
    image = stimulus.images[-1] if stimulus.images else ""
    if total:
        best = max(answers, key=lambda value: answers[value])
        simulated = " simulated" if study.source == "simulated" else ""
        words = f"{markup.name_answers(study.plan).get(best, best)}: {answers[best]:,} of {total:,}{simulated}"
        if study.plan.asks == "scale":
            mean = sum(float(value) * count for value, count in answers.items()) / total
            words = f"{mean:.1f} of {study.plan.scale_points} on average, {markup.count_noun(total, 'vote')}"
    else:
        left_out = markup.count_noun(sum(all_answers.values()), "vote")
        words = (
            f"{left_out}, left out"
            if all_answers
            else "no votes yet"
            if study.origin != "published"
            else _published_values(stimulus)
        )
    files = stimulus.details.get(FILES_KEY, ())
    title = " and ".join(str(name) for name in files[: len(stimulus.images)]) or markup.describe_stimulus(stimulus)
    return components.Tile(
        stimulus.stimulus,
        access.study_picture_url(study.token, image)
        if access.has_pictures(study, stimulus)
        else _placeholder_url(stimulus.stimulus),
        f"{'Face' if files else 'Generated face'}, {title}; {words}" if title else words,
        title=title,
        words=words,
    )


def _placeholder_url(name: str) -> str:
    """The address of a picture with a stimulus's name, where the library does not hold its picture."""
    text = html.escape(name if len(name) <= MAX_NAME_LENGTH else f"{name[:MAX_NAME_LENGTH]}…")
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 160"><rect width="160" height="160" fill="#8b8b8b"/>'
        f'<text x="80" y="84" text-anchor="middle" font-family="sans-serif" font-size="13" fill="#161616">{text}</text></svg>'
    )
    return f"data:image/svg+xml,{quote(picture)}"


def _published_values(stimulus: Stimulus) -> str:
    means = stimulus.details.get("published", {})
    rate = means.get("identity")
    return f"{100 * rate:.0f} % saw one person" if isinstance(rate, float | int) and rate == rate else "published means"


def _select_stimulus(stimulus: str) -> None:
    st.query_params["stimulus"] = stimulus


def _clear_stimulus() -> None:
    st.query_params.pop("stimulus", None)


@st.dialog("What was said of it", width="large", on_dismiss=_clear_stimulus)
def _show_stimulus_dialog(study: Study, stimulus: Stimulus, ratings: pd.DataFrame, all_answers: dict[str, int]) -> None:
    rows = ratings[ratings["stimulus"] == stimulus.stimulus]
    markup.show_simulated_badge(study.source)
    pictures, facts = st.columns([6, 5], gap="large")
    with pictures:
        captions: tuple[str, ...] = ("The base", "The sample") if len(stimulus.images) == 2 else ("The face",)
        noun = "a generated face"
        if files := stimulus.details.get(FILES_KEY):
            captions, noun = tuple(html.escape(str(name)) for name in files), "a face"
        figures = "".join(
            f'<figure><img src="{html.escape(access.study_picture_url(study.token, image))}" alt="{caption}, {noun}">'
            f"<figcaption>{caption}</figcaption></figure>"
            for image, caption in zip(stimulus.images if access.has_pictures(study, stimulus) else (), captions, strict=False)
        )
        empty = f'<div class="portrait-empty">{html.escape(stimulus.stimulus)}: its picture is not in the library.</div>'
        st.html(f'<div class="{"pair" if len(stimulus.images) == 2 else "single"}">{figures}</div>' if figures else empty)
    with facts:
        names = markup.name_answers(study.plan)
        expected = f"; expected: {names.get(stimulus.expected, stimulus.expected)}" if stimulus.expected else ""
        st.html(intro_html(f"{markup.describe_stimulus(stimulus).capitalize()}{expected}."))
        main = rows[rows["task"] != "similarity"]
        if main.empty:
            seen = markup.count_noun(sum(all_answers.values()), "vote")
            st.html(caption_html(f"{seen}, of people whom the rules leave out." if all_answers else "Nobody has seen it yet."))
        else:
            shares = main["value"].value_counts(normalize=True)
            st.html(bars_html({words: float(shares.get(value, 0.0)) for value, words in names.items()}))
            st.html(caption_html(f"n = {markup.count_noun(len(main), 'vote')}, {theme.SOURCE_WORDS[study.source]}"))
        alike = pd.to_numeric(rows.loc[rows["task"] == "similarity", "value"])
        if len(alike):
            spread = f"{alike.mean():.0f} of 100 on average, from {alike.min():.0f} to {alike.max():.0f}"
            st.html(caption_html(f"How alike: {spread} (n = {len(alike):,})."))
    if not main.empty:
        _show_raw_votes(rows)
    st.html(caption_html("The address of this page brings this face back."))


TASK_NAMES: dict[Task, str] = {
    "similarity": "how alike",
    "identity": "same person",
    "emotion": "feeling",
    "label": "label",
    "scale": "rating",
}


def _show_raw_votes(rows: pd.DataFrame) -> None:
    """Show a table of all votes."""
    table = pd.DataFrame(
        {
            "Who": rows["rater"],
            "Question": rows["task"].map(TASK_NAMES),
            "Answer": rows["value"].where(rows["task"] != "identity", rows["value"].map(markup.IDENTITY_ANSWERS)),
            "Took (ms)": rows["reaction_time_ms"].round(),
            "When": rows["created_at"].mask(rows["created_at"] == UNKNOWN_TIME),
            "From": rows["source"].map(markup.SOURCE_NAMES),
        }
    )
    with st.expander(f"Every vote ({len(table):,})"):
        st.dataframe(table, hide_index=True, key="raw-votes")


def show_study(name: str) -> None:
    """Show the study with a name."""
    if st.button("All studies", type="tertiary", icon=":material/arrow_back:", key="back"):
        st.query_params.clear()
        st.rerun()
    try:
        study = access.get_store().study(name)
    except LiminalError as error:
        st.error(str(error))
        return
    st.title(markup.escape_markdown(study.name), anchor=False)
    st.html(markup.study_badges_html(study))
    for note in st.session_state.pop(new_study.NEW_STUDY_SLOT, ()):
        st.info(note)
    if study.source == "simulated":
        st.warning(markup.NOBODY_WAS_ASKED, icon=":material/smart_toy:")
        with st.expander(markup.PLANTED_TITLE):
            markup.show_planted_effects(study)
    elif study.origin != "here":
        st.info(
            f"This was brought in from elsewhere; nobody was asked here. {markup.escape_markdown(study.note)}".strip(),
            icon=":material/menu_book:",
        )
    else:
        participation.show_link(study)
    st.session_state[SHOWN_VERSION] = access.answers_version(study)
    overview = show_overview(study)
    if study.plan.adaptive:
        show_choice(study, active_rules(study.plan))
    if overview.progress.answered:
        _show_ways(study)
    st.space("medium")
    show_stimuli(study, overview.exclusions)
    st.space("medium")
    show_people(study)
    participation.show_participants(study)
    st.space("medium")
    show_downloads(study)
    _show_deletion(study)


SHOWN_VERSION = "study-shown-version"
"""In the session: which answers the parts of the page count that do not refresh by themselves."""


def _offer_new_answers(study: Study) -> None:
    """In the live part: a button that brings the rest of the page up to date, where answers have come in since it was shown."""
    if st.session_state.get(SHOWN_VERSION, access.answers_version(study)) != access.answers_version(study) and st.button(
        "New answers came in: count them below as well", key="count-new", type="tertiary", icon=":material/refresh:"
    ):
        st.rerun(scope="app")


def _show_ways(study: Study) -> None:
    """Links to the pages that say what the answers mean."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="study-ways"):
        st.html(caption_html("What the answers say:"))
        for page in (navigation.STATISTICS, navigation.DISAGREEMENT, navigation.MAP):
            st.page_link(navigation.build_page(page), label=page.title, query_params={"study": study.name})


def _show_deletion(study: Study) -> None:
    """Show the form that deletes the study."""
    with st.expander("Delete this study"):
        own = " Your own pictures go too, unless another study asks about them." if access.asks_about_own_pictures(study) else ""
        st.html(intro_html(f"This deletes its faces' votes, everybody's answers and the link, and cannot be undone.{own}"))
        typed = st.text_input(f"Type the study's name to confirm: {study.name}", key="delete-name", width=420)
        if st.button("Delete the study", key="delete-study", disabled=typed.strip() != study.name):
            try:
                delete_study(access.get_store(), access.get_library(), study.name)
            except LiminalError as error:
                st.error(str(error))
                return
            st.query_params.clear()
            st.rerun()

"""The grid of two feelings: one person's face with every strength of one feeling against every strength of the other.

Each face is coloured by what one network says, and the line between the two is drawn where they are equally likely. What people
said of the same faces is shown on top, where a study asked about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.analysis.choices import count_choices
from core.figures.theme import format_percent
from core.lazy_import import lazy_import
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.events import BaseShown, BoundarySampleMade
from core.studies.library import hash_sample_set
from core.studies.study import Study
from ui import markup, progress
from ui.cache import SharedResultCache
from ui.components import GridCell, show_feeling_grid
from ui.emotion import face, runs
from ui.emotion.face import FaceSet
from ui.jobs import find_or_start_job
from ui.pictures import face_url
from ui.state import EmotionState
from ui.studies import access, owner_gate
from ui.studies.new_study import ask_people

if TYPE_CHECKING:
    from core.sampling.emotion import grid
    from core.sampling.sample_set import SampleSet
    from core.sampling.stored.gallery import GalleryBase
else:
    grid = lazy_import("core.sampling.emotion.grid")  # PyTorch

SIDE = 7
GRID_JOB = "grid_job"


@dataclass(frozen=True)
class GridRun:
    """A finished grid: its faces row by row, emotion 1 growing from row to row, emotion 2 from column to column."""

    sample_set: SampleSet
    base: BaseShown
    faces: tuple[BoundarySampleMade, ...]


@st.cache_resource(show_spinner=False)
def cached_grids() -> SharedResultCache:
    """Grids by configuration."""
    return SharedResultCache(48)


def make_grid_job(configuration: EmotionConfiguration) -> Callable[[Progress], GridRun]:
    """The work of a job: all faces of the grid, drawn and judged."""

    def make(progress: Progress) -> GridRun:
        progress.stage("Loading the networks", 0.0)
        events, recorded = runs.record_events(progress)
        made = grid.make_grid(configuration, SIDE, recorded, base=runs.load_base(configuration))
        so_far = runs.gather_events(events)
        assert so_far.base is not None
        return GridRun(made.sample_set, so_far.base, tuple(face for _, face in sorted(so_far.faces.items())))

    return lambda progress: cached_grids().get_or_compute(configuration, lambda: make(progress), progress)


def configure_grid(chosen: EmotionConfiguration, base: GalleryBase) -> EmotionConfiguration:
    """All that a grid depends on: how samples are searched for does not matter to it."""
    return EmotionConfiguration(
        chosen.emotion1,
        chosen.emotion2,
        count=SIDE * SIDE,
        base=base.base_id,
        generator=chosen.generator,
        strategy="direct",
        guided=False,
        steerer=chosen.steerer,
        judges=chosen.judges,
        recogniser=chosen.recogniser,
    )


def show_grid(view: EmotionState, base: GalleryBase) -> None:
    """The heading, the button that draws the grid, and the grid once it was asked for."""
    configuration = configure_grid(view.configuration, base)
    if not registry.find_entry(configuration.generator).changes:
        return
    st.header("Every strength of both", anchor=False)
    st.html(
        markup.intro_html(
            f"One person, {SIDE * SIDE} faces: {configuration.emotion1} grows upward, {configuration.emotion2} to the right. "
            "Nobody searched here; the line is where a network finds both equally likely."
        )
    )
    if not view.grid:
        st.button("Draw the grid", key="draw-grid", on_click=_ask_for_grid, args=(base.base_id,))
        return
    run: GridRun | None = cached_grids().get(configuration)
    if run is None:
        job = find_or_start_job(GRID_JOB, configuration, "grid of two feelings", make_grid_job(configuration))
        if not job.finished:
            _watch_grid(configuration, job.id)
            return
        if job.status != "done":
            progress.show_outcome(job)
            return
        run = job.result
    _show_finished_grid(configuration, base, run, view.sample)


def _ask_for_grid(base_id: str) -> None:
    st.session_state.pop(GRID_JOB, None)  # one that was stopped starts anew
    st.query_params["base"] = base_id
    st.query_params["grid"] = "1"


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_grid(configuration: EmotionConfiguration, job_id: str) -> None:
    job = progress.poll_job(job_id)
    made = runs.gather_events(list(job.events)).faces
    if made:
        cells = [_make_cell(configuration, configuration.steerer, index, made.get(index), None) for index in range(SIDE * SIDE)]
        _show_cells(configuration, cells, [], "grid-live", lambda _: None)


def _show_finished_grid(configuration: EmotionConfiguration, base: GalleryBase, run: GridRun, selected: str | None) -> None:
    network = runs.choose_network("What does it say?", configuration, "grid-network")
    answers, asked = load_answers(run.sample_set)
    cells = [_make_cell(configuration, network, index, made, answers.get(made.sample_id)) for index, made in enumerate(run.faces)]
    lines = trace_boundary(_measure_lead(run.faces, network, configuration))
    _show_cells(configuration, cells, lines, "grid", face.select_face)
    title = registry.find_entry(network).title
    says = (
        f"For {title} both feelings are equally likely on the line." if lines else f"{title} never changes from one to the other."
    )
    people = f" Stripes: what {markup.name_raters(asked.source)} said in “{asked.name}”." if asked is not None else ""
    st.html(markup.caption_html(f"{says}{people} Press a face to look at it."))
    ask_people(
        run.sample_set, f"Every strength of {configuration.emotion1} and {configuration.emotion2}: {base.title}", key="ask-grid"
    )
    face.open_selected_face(FaceSet(configuration, run.base.image, base.latent, run.faces), selected)


def _measure_lead(faces: Sequence[BoundarySampleMade], network: str, configuration: EmotionConfiguration) -> NDArray[np.float64]:
    """How much likelier emotion 2 is than emotion 1, face by face -> (SIDE, SIDE), the row of the weakest emotion 1 first."""
    shares = np.array([runs.map_position(made.opinions[network], configuration) for made in faces])
    lead: NDArray[np.float64] = (shares[:, 1] - shares[:, 0]).reshape(SIDE, SIDE)
    return lead


Segment = tuple[float, float, float, float]
"""x1, y1, x2, y2 in faces: 0 is the middle of the first column or row."""


def trace_boundary(lead: NDArray[np.float64]) -> list[Segment]:
    """Where a grid of values (rows, columns) passes zero, as straight pieces, linear between neighbours (marching squares)."""
    segments: list[Segment] = []
    rows, columns = lead.shape
    for row in range(rows - 1):
        for column in range(columns - 1):
            corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)]
            crossings = []
            for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
                before, after = float(lead[y1, x1]), float(lead[y2, x2])
                if (before > 0) != (after > 0):
                    part = before / (before - after)
                    crossings.append((x1 + part * (x2 - x1), y1 + part * (y2 - y1)))
            segments += [(*start, *end) for start, end in zip(crossings[::2], crossings[1::2], strict=True)]
    return segments


def _make_cell(
    configuration: EmotionConfiguration,
    network: str,
    index: int,
    made: BoundarySampleMade | None,
    counts: Mapping[str, int] | None,
) -> GridCell:
    strength1, strength2 = index // SIDE / (SIDE - 1), index % SIDE / (SIDE - 1)
    strengths = f"{configuration.emotion1} {format_percent(strength1)}, {configuration.emotion2} {format_percent(strength2)}"
    if made is None:
        return GridCell(f"cell-{index}", alt=strengths)
    opinion = made.opinions[network]
    strongest = runs.strongest_emotion(opinion)
    share = opinion.calibrated[EMOTIONS.index(strongest)]
    pair = (configuration.emotion1, configuration.emotion2)
    words = f"{strengths}. {registry.find_entry(network).title} says {strongest}, {format_percent(share)}."
    votes: list[int] = []
    if counts:
        total = sum(counts.values())
        votes = [counts[pair[0]], total - counts[pair[0]] - counts[pair[1]], counts[pair[1]]]
        words += f" Of {markup.count_noun(total, 'answer')} {votes[0]} {pair[0]}, {votes[2]} {pair[1]}."
    side = pair.index(strongest) if strongest in pair else -1
    return GridCell(made.sample_id, face_url(made.image), words, side, "" if side >= 0 else strongest, round(share, 3), votes)


def _show_cells(
    configuration: EmotionConfiguration,
    cells: Sequence[GridCell],
    lines: Sequence[Segment],
    key: str,
    on_pick: Callable[[str], None],
) -> None:
    show_feeling_grid(cells, lines, emotions=(configuration.emotion1, configuration.emotion2), side=SIDE, key=key, on_pick=on_pick)


def load_answers(sample_set: SampleSet) -> tuple[dict[str, dict[str, int]], Study | None]:
    """What was answered about the faces of a set: sample_id -> feeling -> answers, and the newest study that asked.

    Only its owner's: visitors see no answers of studies here.
    """
    if not owner_gate.is_allowed():
        return {}, None
    set_id = hash_sample_set(sample_set)
    for study in access.get_store().studies():
        if set_id in study.sample_sets:
            table = count_choices(access.get_store().ratings(study.name)).table
            rows = table[table["votes"] > 0].to_dict("records")
            if rows:
                counts = {str(row["stimulus"]): {emotion: int(row[f"count_{emotion}"]) for emotion in EMOTIONS} for row in rows}
                return counts, study
    return {}, None

"""On the page 'Disagreement': two named people of a study, the faces or pairs on which their models part, and new faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.alignment.alignment import Alignment
from core.alignment.personal import MIN_ANSWERS, learn_rater
from core.alignment.stimulus_choice import (
    ControversialImage,
    build_controversial_set,
    rank_controversial,
    search_controversial,
)
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.progress import Progress
from core.sampling.sample_set import CONTROVERSIAL_KEY
from core.sampling.stored.population import has_population
from ui import cache, components, markup, navigation, progress
from ui.alignment import runs
from ui.analysis.study_choice import StudyChoice
from ui.components import Tile, Verdict
from ui.jobs import find_or_start_job
from ui.markup import PartingPair, caption_html, intro_html
from ui.pictures import face_url
from ui.selection import bound_choice
from ui.studies import owner_gate
from ui.studies.new_study import ask_people

if TYPE_CHECKING:
    from core.alignment import identity as identity_alignment
    from core.alignment import parting_pairs
    from core.alignment.observer import PersonPosterior
    from core.sampling.sample_set import SampleSet
else:
    identity_alignment = lazy_import("core.alignment.identity")
    parting_pairs = lazy_import("core.alignment.parting_pairs")  # PyTorch, after the page has painted

SHOWN, MADE = 6, 8
TWO_JOB = "two_people_job"


def show_two_people(chosen: StudyChoice) -> None:
    """Widgets for two people; then where their models part. Of emotion and identity studies with enough answers; else nothing."""
    if chosen.study.plan.asks not in ("emotion", "identity"):
        return
    counts = chosen.study_data.counted.drop_duplicates(["rater", "stimulus"])["rater"].value_counts()
    raters = sorted(str(name) for name, count in counts.items() if count >= MIN_ANSWERS)
    if len(raters) < 2:
        return
    st.space("medium")
    st.header("Where two people part", anchor="two-people")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="two-people"):
        if not st.toggle("Compare two people by name", key="two", bind="query-params"):
            return
        first = bound_choice("One", raters, "one", look="list")
        second = bound_choice("And the other", [name for name in raters if name != first], "other", look="list")
    try:
        if chosen.study_data.kind == "identity":
            _show_pairs(chosen, first, second)
        else:
            _show_faces(chosen, first, second)
    except LiminalError as error:
        st.html(caption_html(str(error)))


@st.cache_resource(show_spinner="Learning how people decide", max_entries=2)
def _fit_decisions(key: str, _chosen: StudyChoice) -> identity_alignment.DecisionModel:
    model, _ = identity_alignment.align_identity(_chosen.study_data)
    return model


def _show_pairs(chosen: StudyChoice, first: str, second: str) -> None:
    model = _fit_decisions(chosen.key, chosen)
    pairs = chosen.study_data.shown.set_index("pair_id", drop=False)
    table = identity_alignment.rank_parting_pairs(model, pairs, first, second)
    opposite = int((table["score"] > 0).sum())
    cards = []
    for row in table.head(SHOWN).to_dict("records"):
        pair = pairs.loc[row["pair_id"]]
        faces = chosen.picture(pair["base_id"]), chosen.picture(pair["sample_id"])
        says = [_judge(first, row["p_first"]), _judge(second, row["p_second"])]
        if all(faces):
            cards.append(PartingPair(faces, says))
    if cards:
        st.html(markup.parting_html(cards))
    st.html(
        caption_html(
            f"What their models, learned from the distances of the pairs that each answered about, expect; on {opposite:,} of "
            f"{len(table):,} pairs they say opposite things. The surest first."
        )
    )
    if owner_gate.is_allowed() and has_population(chosen.study_data.generator):
        _show_new_pairs(chosen, model, (first, second))


def _show_new_pairs(chosen: StudyChoice, model: identity_alignment.DecisionModel, names: tuple[str, str]) -> None:
    """A button; then pairs that were made so that the two people's models part on them, and a study of these in one press."""
    sample_set: SampleSet | None = progress.offer_job(
        TWO_JOB,
        (chosen.key, *names),
        "pairs on which two people part",
        _make_pairs_job(chosen, model, names),
        words=f"New pairs can be made, of which one model says the same person and the other two people, as surely as possible. "
        f"What {names[0]} and {names[1]} answer then tells whether their models are right.",
        button=f"Make {MADE} new pairs that part them",
        key="two-people-make",
    )
    if sample_set is None:
        return
    facts: dict[str, Any] = sample_set.manifest[CONTROVERSIAL_KEY]
    rows = sample_set.pairs.set_index("pair_id")
    cards = []
    for record in facts["pairs"]:
        pair = rows.loc[record["pair_id"]]
        faces = face_url(sample_set.images[pair["base_id"]]), face_url(sample_set.images[pair["sample_id"]])
        cards.append(PartingPair(faces, [_judge(name, record[name]) for name in names]))
    st.subheader("New pairs, made to part them", anchor=False)
    st.html(markup.parting_html(cards))
    st.html(
        caption_html(
            f"On {facts['kept']} of {facts['count']} finished pairs the two models say opposite things. Whether the two people do, "
            "only asking them tells."
        )
    )
    ask_people(sample_set, f"Where {names[0]} and {names[1]} part", key="ask-two-people")


def _make_pairs_job(
    chosen: StudyChoice, model: identity_alignment.DecisionModel, names: tuple[str, str]
) -> Callable[[Progress], SampleSet]:
    study_data = chosen.study_data
    population = cache.cached_population(study_data.generator)

    def work(progress: Progress) -> SampleSet:
        progress.stage("Loading the networks", 0.0)
        return parting_pairs.generate_parting_pairs(
            model,
            study_data.pairs,
            *names,
            population,
            study_data.generator,
            study=study_data.study.name,
            count=MADE,
            progress=progress,
        )

    return work


def _judge(name: str, same: float) -> tuple[str, Verdict, str]:
    return name, "open" if same > 0.5 else "closed", f"{100 * max(same, 1 - same):.0f} % sure"


def _show_tiles(tiles: Sequence[Tile], key: str) -> None:
    if tiles:
        group = components.FaceGroup(tiles, columns=SHOWN)
        components.show_faces([group], key=key, on_pick=lambda _: None, layout="rows", tile="12rem")


def _show_faces(chosen: StudyChoice, first: str, second: str) -> None:
    found = _find_group_model(chosen)
    if found is None:
        st.html(intro_html("First a network has to learn what all people of the study said; then two of them can be compared."))
        st.page_link(navigation.build_page(navigation.ALIGN), label="Let it learn", query_params={"study": chosen.study.name})
        return
    alignment, network = found
    people = [_learn(alignment.alignment_id, network, name, alignment) for name in (first, second)]
    group = alignment.group(network).images
    own = [posterior.probabilities(group) for posterior in people]
    table = rank_controversial(alignment.answers.images, *own)
    tiles = [
        Tile(
            row["stimulus"],
            address,
            _describe(row, first, second),
            title=f"{first}: {row['you']}",
            words=f"{second}: {row['most']}",
        )
        for row in table.head(SHOWN).to_dict("records")
        if (address := chosen.picture(row["stimulus"]))
    ]
    _show_tiles(tiles, "two-people-faces")
    apart = int((table["you"] != table["most"]).sum())
    st.html(
        caption_html(
            f"What their models expect them to say; on {apart:,} of {len(table):,} faces of the study it is not the same. Each "
            "model is the group’s, shifted by the person’s own answers."
        )
    )
    if owner_gate.is_allowed():
        _show_new_faces(alignment, people, (first, second), chosen.study.name)


def _describe(row: Mapping[Any, Any], first: str, second: str) -> str:
    return f"A generated face; {first} would say {row['you']}, {second} {row['most']}"


def _find_group_model(chosen: StudyChoice) -> tuple[Alignment, str] | None:
    for name in runs.list_networks(chosen):
        for alignment in (*runs.list_alignments(chosen), runs.find_alignment(chosen, runs.DEFAULT_CONFIGURATION)):
            if name in alignment.configuration.classifiers and alignment.ready(name):
                return alignment, name
    return None


@st.cache_resource(show_spinner=False, max_entries=64)
def _learn(alignment_id: str, network: str, rater: str, _alignment: Alignment) -> PersonPosterior:
    return learn_rater(_alignment, network, rater)


def _show_new_faces(alignment: Alignment, people: Sequence[PersonPosterior], names: tuple[str, str], study: str) -> None:
    key = (alignment.alignment_id, *names)
    stored = st.session_state.get(TWO_JOB)
    asked = stored is not None and stored[0] == key
    if not asked and not st.button(f"Make {MADE} new faces that part them", key="two-people-make", icon=":material/auto_awesome:"):
        return
    job = find_or_start_job(TWO_JOB, key, "faces on which two people part", _make_job(alignment, people, names, study))
    if not job.finished:
        progress.watch_job(job.id)
        return
    if job.status != "done":
        progress.show_outcome(job)
        st.button("Try again", key="two-people-make", on_click=lambda: st.session_state.pop(TWO_JOB, None))
        return
    made, sample_set = job.result
    tiles = [
        Tile(
            f"new-{place}",
            face_url(image.picture),
            f"A new face; {names[0]} would say {image.you}, {names[1]} {image.most}",
            title=f"{names[0]}: {image.you}",
            words=f"{names[1]}: {image.most}",
            note=f"{100 * image.own.max():.0f} % and {100 * image.group.max():.0f} % sure",
        )
        for place, image in enumerate(made)
    ]
    st.subheader("New faces, made to part them", anchor=False)
    _show_tiles(tiles, "two-people-new")
    differ = sum(image.differ for image in made)
    st.html(
        caption_html(
            f"On {differ} of {len(made)} finished pictures the two models say different things. Whether the two people do, only "
            "asking them tells."
        )
    )
    ask_people(sample_set, f"Where {names[0]} and {names[1]} part", key="ask-two-people")


def _make_job(
    alignment: Alignment, people: Sequence[PersonPosterior], names: tuple[str, str], study: str
) -> Callable[[Progress], tuple[list[ControversialImage], SampleSet]]:
    def work(progress: Progress) -> tuple[list[ControversialImage], SampleSet]:
        progress.stage("Loading the networks", 0.0)
        images = search_controversial(alignment, people[0], other=people[1], count=MADE, progress=progress.stretch(0.0, 0.8))
        progress.stage("Asking every model what it thinks", 0.85)
        return images, build_controversial_set(images, alignment.labels.generator, people=names, study=study)

    return work

"""The parts of the page 'Identity samples'."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import streamlit as st

from core.models import registry
from core.sampling.configuration import Strategy
from core.sampling.events import BasesFound, SamplesMade
from ui import caches, components, model_choice, own_face, own_face_view, progress, sets, state, words
from ui.images import asset_url
from ui.jobs import Job, job_for
from ui.sets import Recipe
from ui.state import IdentityState
from ui.studies.making import ask_people

if TYPE_CHECKING:
    from core.sampling.sample_set import SampleSet

STRATEGIES: dict[Strategy, str] = {
    "gradient": "Through the networks' own gradients: fast",
    "cmaes": "By trial and selection, as in the paper: slow",
}
COLUMNS = 7  # the base and its six small steps; or the way to another person (4) and the search back (3)


def choose() -> IdentityState:
    """Widgets for the models and the seed, and the view that the address asks for."""
    with st.container(key="models"), st.popover("Change the models", type="tertiary", icon=":material/tune:"):
        generator, recogniser = state.model_choices()
        wanted: Strategy = st.radio(
            "How faces are optimized",
            list(STRATEGIES),
            captions=list(STRATEGIES.values()),
            key="strategy",
            bind="query-params",
        )
        blunt = model_choice.without_gradient(generator, recogniser)
        strategy: Strategy = "cmaes" if blunt else wanted
        if blunt and wanted != strategy:
            st.html(words.fine(html.escape(f"{registry.entry(blunt).title} has no gradient, so trial and selection it is.")))
        rounds = st.slider("Rounds of a search, at most", 5, 200, 50, step=5, key="rounds", bind="query-params")
        looks = st.toggle("Also change single looks, such as a smile", key="looks", bind="query-params")
        if looks and not model_choice.has_looks(generator):
            looks = False
            title = registry.entry(generator).title
            st.html(words.fine(html.escape(f"Where {title} keeps a smile is not known, so that single looks are left out.")))
    return IdentityState(
        base=st.query_params.get("base"),
        seed=state.read_whole("seed", 0, 2**31 - 1),
        sample=st.query_params.get("sample"),
        generator=generator,
        recogniser=recogniser,
        strategy=strategy,
        rounds=rounds,
        looks=looks,
    )


def choose_base(view: IdentityState) -> Recipe | None:
    """The base, large, beside the gallery and the button that starts; None until samples are asked for."""
    gallery = caches.stored_gallery(view.generator)
    base = next((each for each in gallery.bases if each.base_id == view.base), gallery.bases[0])
    base_id, seed, own = base.base_id, view.seed, None
    with st.container(key="owner"):
        portrait, ways = st.columns([4, 9], gap="large")
        with ways:
            way = own_face_view.way("identity_way")
            if way == own_face_view.GALLERY:
                components.gallery(gallery, base.base_id, on_pick=_pick_base)
                _ask(view.seed, base.base_id)
            else:
                _forget_address()
                own = own_face_view.choose(way, view.generator, view.recogniser)
                base_id, seed = own_face.BASE, None if own is None else own.seed
                if own is not None:
                    _ask(own.seed, own_face.BASE)
        with portrait:
            if way == own_face_view.GALLERY:
                caption = f"The base: {base.title}"
                st.html(words.portrait(asset_url(base.image), f"The base, a generated face: {base.title}", caption))
            else:
                st.html(own_face_view.portrait())
    if own is not None:
        own_face_view.show_likeness(own)
    if seed is None:
        return None
    return Recipe(view.generator, view.recogniser, view.strategy, base_id, seed, view.rounds, view.looks, own)


def _ask(seed: int | None, base_id: str) -> None:
    """The seed, and the button that starts."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="make"):
        label = "Seed: another number, other people"
        wanted = st.number_input(label, 0, 2**31 - 1, seed or 0, step=1, key="seed_wanted", width=220)
        st.button("Make 28 samples", type="primary", key="make-samples", on_click=_make, args=(base_id, wanted))


def _forget_address() -> None:
    """A link brings back generated bases alone; with a photo, none must seem to."""
    for name in ("base", "seed", "sample"):
        st.query_params.pop(name, None)


def _pick_base(base_id: str) -> None:
    st.query_params["base"] = base_id
    st.query_params.pop("seed", None)
    st.query_params.pop("sample", None)


def _make(base_id: str, seed: int) -> None:
    own = own_face.current()
    if own is not None:
        own.seed, own.sample = seed, None
        st.session_state.pop("set_job", None)
        return
    st.query_params["base"] = base_id
    st.query_params["seed"] = str(seed)
    st.query_params.pop("sample", None)
    st.session_state.pop("set_job", None)


def made_set(recipe: Recipe) -> SampleSet | None:
    """The recipe's set; while it is being made, its progress is shown instead and None comes back."""
    made: SampleSet | None = sets.kept(recipe)
    if made is not None:
        return made
    job = job_for("set_job", recipe, "identity samples", sets.maker(recipe))
    if job.status == "done" and job.result is not None:  # others have pushed it out of what is kept for all
        mine: SampleSet = job.result
        return mine
    if job.finished:
        progress.outcome(job)
        return None
    _watch(recipe, job.id)
    return None


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch(recipe: Recipe, job_id: str) -> None:
    job = progress.tick(job_id)
    _show_unfinished(recipe, job)


def _show_unfinished(recipe: Recipe, job: Job) -> None:
    """What there is already: the samples that need no search, and the search as it goes."""
    events = list(job.events if recipe.own is None else recipe.own.events)
    limit = caches.stored_thresholds(recipe.generator, recipe.recogniser).default
    configuration = recipe.configuration()
    marks = [components.Mark(target, f"{target:g}") for target in configuration.targets]
    if any(not isinstance(event, BasesFound | SamplesMade) for event in events):
        st.subheader("Searching back to the base, from three other people", anchor=False)
        rounds = configuration.iterations
        progress.searches(events, limit=limit, iterations=rounds, targets=marks, key="set-search", address=recipe.address)
    made = [sample for event in events if isinstance(event, SamplesMade) for sample in event.samples]
    if made:
        tiles = []
        for index, sample in enumerate(made):
            title = words.sample_title(sample.sample_type, sample.step)
            tiles.append(components.Tile(f"live-{index}", recipe.address(sample.image), f"Generated face, {title}", title=title))
        st.subheader("Made so far", anchor=False)
        components.faces(
            [components.Group(tiles, columns=COLUMNS)], key="live", on_pick=lambda _: None, layout="rows", tile="9.5rem"
        )


def download(recipe: Recipe, made: SampleSet) -> None:
    """The whole set as a zip archive (tables, latents, pictures, and what made them), or as a study; of a photo, neither."""
    if recipe.own is not None:
        st.html(words.fine("Made from your photo: these faces are not saved, and cannot be downloaded or shown to others."))
        return
    name = f"liminal-{recipe.base_id}-{recipe.seed}"
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download this set",
            lambda: made.to_zip(name),
            f"{name}.zip",
            "application/zip",
            key="download",
            icon=":material/download:",
            on_click="ignore",
        )
        title = caches.stored_gallery(recipe.generator).base(recipe.base_id).title
        ask_people(made, f"Around {title}, seed {recipe.seed}")

"""The owner's page of faces made by people: all of them, the form for a new one, and what the chains of one came to."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import streamlit as st

from core.analysis import chains as chain_analysis
from core.analysis.chains import ChainResult
from core.errors import LiminalError
from core.figures import chains as chain_figures
from core.figures.theme import format_percent
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling import named_slider
from core.studies.chain_simulation import PlantedUtility, simulate_chains
from core.studies.chains import MAX_CHAINS, MAX_LATENTS, MAX_STEPS_EACH, MAX_SWEEPS, ChainDesign, ChainStudy, SliderLatent
from core.studies.study import MAX_QUESTION_LETTERS, NAME_LENGTH
from ui import bases, cache, markup, navigation, progress
from ui.analysis import map_faces
from ui.analysis.figure_card import encode_csv, show_figure_card
from ui.cache import SharedResultCache
from ui.components import FaceGroup, Tile, show_faces, show_gallery
from ui.jobs import find_or_start_job
from ui.markup import caption_html, count_noun, facts_html, intro_html
from ui.pictures import face_url
from ui.studies import access, face_making
from ui.studies.new_study import ask_people

if TYPE_CHECKING:
    from core.sampling.emotion.chain_faces import ChainFaces, JudgedFace

GENERATOR = "head"
FACES_JOB = "chain_faces_job"
REFRESH_SECONDS = 3.0
CARDS_ACROSS = 3
STRIP_FACES, MOST_SMALL_FACES = 9, 5
FEELINGS = {"surprise": "surprised", "fear": "afraid", "disgust": "disgusted", "happiness": "happy", "sadness": "sad"} | {
    "anger": "angry"
}
OWN_WORDS = "something else"


def describe_aim(design: ChainDesign) -> str:
    """What people were asked to make, in English."""
    return design.wording or f"Make this face look as {FEELINGS[design.target]} as you can"


def _badges_html(study: ChainStudy) -> str:
    marks = [("kind", study.design.target or "own question"), (study.source, markup.SOURCE_NAMES[study.source])]
    marks += [("closed", "closed")] if study.closed and study.source == "human" else []
    return f'<div class="badges">{"".join(f"<span data-mark={mark!r}>{html.escape(text)}</span>" for mark, text in marks)}</div>'


def show_chain_studies() -> None:
    """Show all studies, newest first, and the ways to a new one."""
    st.title("Which face do people have in mind?", anchor=False)
    st.html(
        intro_html(
            "Nobody rates anything here: people make the face. Each moves one part of it by a slider, the next one goes on from "
            "there, and after some rounds the chains show what they share."
        )
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="shelf-actions"):
        if st.button("Let people make a face", type="primary", icon=":material/add:", key="new-chains"):
            st.query_params["new"] = "1"
            st.rerun()
        simulate = st.button("Look at one made by simulated people", icon=":material/smart_toy:", key="simulate-chains")
    if simulate:
        with st.spinner("Simulated people make an afraid face"):
            st.query_params["made"] = _simulate_example().name
        st.rerun()
    store = access.get_chain_store()
    studies = store.studies()
    if not studies:
        st.html(
            '<div class="nothing"><b>Nobody has made a face yet</b><p>Say what it should look like and send the link; or look at '
            "what simulated people made, to see what you would get.</p></div>"
        )
        return
    with st.container(key="shelf"):
        for start in range(0, len(studies), CARDS_ACROSS):
            for column, study in zip(st.columns(CARDS_ACROSS, gap="medium"), studies[start : start + CARDS_ACROSS], strict=False):
                with column, st.container(border=True):
                    st.html(_badges_html(study) + _faces_html(study.design))
                    page = navigation.build_page(navigation.MAKING)
                    st.page_link(page, label=markup.escape_markdown(study.name), query_params={"made": study.name})
                    done = store.progress(study.name)
                    people = count_noun(done.people, "person", "people")
                    st.html(
                        caption_html(
                            f"{describe_aim(study.design)}. {done.complete} of {count_noun(study.design.chains, 'chain')} "
                            f"complete, {count_noun(done.steps, 'step')} of {people}."
                        )
                    )


def _faces_html(design: ChainDesign) -> str:
    """The people that a study's chains begin with, small; nothing where the gallery does not know them."""
    try:
        gallery = cache.cached_gallery(design.generator)
        faces = [gallery.base(name) for name in design.bases[:MOST_SMALL_FACES]]
    except LiminalError:
        return ""
    images = "".join(
        f'<figure><img src="{html.escape(bases.base_url(design.generator, face))}" alt="Generated face: {html.escape(face.title)}">'
        "</figure>"
        for face in faces
    )
    return f'<div class="strip">{images}</div>'


EXAMPLE = "An afraid face (simulated)"


def _simulate_example() -> ChainStudy:
    """The example; made once."""
    store = access.get_chain_store()
    known = next((study for study in store.studies() if study.name == EXAMPLE and study.source == "simulated"), None)
    if known is not None:
        return known
    base = cache.cached_gallery(GENERATOR).bases[0].base_id
    design = ChainDesign(_list_sliders(()), (base,), GENERATOR, target="fear", sweeps=12)
    offered = {latent.name: latent.values for latent in design.latents}
    utility = PlantedUtility(named_slider.find_feeling_values(GENERATOR, base, offered, "fear"))
    return store.restore(*simulate_chains(ChainStudy(EXAMPLE, design), utility))


def _list_sliders(names: tuple[str, ...]) -> tuple[SliderLatent, ...]:
    """The latents of those names, without any the usual ones."""
    latents = named_slider.choose_latents(GENERATOR, names)
    return tuple(SliderLatent(latent.name, latent.lowest, latent.highest, latent.meaning) for latent in latents)


def show_new_chains() -> None:
    """Show the form of a new study; it says at once how many people it takes."""
    st.title("Let people make a face", anchor=False)
    st.html(intro_html("Say what it should look like and whose face it is; then you get a link to send."))
    _show_back_link()
    gallery = cache.cached_gallery(GENERATOR)
    chosen = bases.find_base(GENERATOR, st.query_params.get("base"))
    left, right = st.columns([9, 4], gap="large")
    with left:
        aim = st.pills("What should it look like?", [*FEELINGS, OWN_WORDS], default="fear", required=True, key="making-aim",
                       format_func=lambda name: FEELINGS.get(name, name))  # fmt: skip
        wording = ""
        if aim == OWN_WORDS:
            placeholder = "Make this face look as trustworthy as you can"
            wording = st.text_input("What people read", max_chars=MAX_QUESTION_LETTERS, placeholder=placeholder, key="making-words")
        many = st.segmented_control("Whose face?", [1, 2, 4], default=1, required=True, key="making-bases",
                                    format_func=lambda count: "one person, this one" if count == 1
                                    else f"{count} people, this one first")  # fmt: skip
        show_gallery(gallery, chosen.base_id, on_pick=lambda name: st.query_params.update(base=name))
    with right:
        st.html(markup.portrait_html(bases.base_url(GENERATOR, chosen), f"Generated face: {chosen.title}", chosen.title))
    with st.expander("Which parts do they move, how often, and who goes on?", icon=":material/tune:"):
        every = [latent.name for latent in _all_latents()]
        usual = [latent.name for latent in _list_sliders(())]
        names = st.multiselect("Parts of the face", every, usual, format_func=lambda name: name.replace("_", " "),
                               key="making-latents", max_selections=MAX_LATENTS)  # fmt: skip
        passed = st.segmented_control("Chains", [True, False], default=True, required=True, key="making-passed",
                                      format_func=lambda on: "passed from person to person" if on
                                      else "everybody has one of their own")  # fmt: skip
        numbers = st.columns(3, gap="medium")
        chains = numbers[0].number_input("Chains", 1, MAX_CHAINS, 8, key="making-chains")
        sweeps = numbers[1].number_input("Rounds: how often each part is moved", 1, MAX_SWEEPS, 8, key="making-sweeps")
        steps = numbers[2].number_input("Steps of one person", 1, MAX_STEPS_EACH, 24, key="making-steps", disabled=not passed)
    name = st.text_input("Name of the study (for you; people never see it)", max_chars=NAME_LENGTH, key="making-name")
    order = [base.base_id for base in gallery.bases]
    first = order.index(chosen.base_id) if chosen.base_id in order else 0
    people = tuple((order[first:] + order[:first])[: int(many or 1)])
    try:
        design = ChainDesign(
            _list_sliders(tuple(names)) if names else (),
            people,
            GENERATOR,
            target="" if aim == OWN_WORDS else str(aim),
            wording=wording,
            chains=int(chains),
            sweeps=int(sweeps),
            passed_on=bool(passed),
            steps_each=int(steps),
        )
    except LiminalError as error:
        st.info(str(error))
        return
    needed, minutes = count_noun(design.people, "person", "people"), count_noun(design.minutes, "minute")
    st.html(
        f'<div class="numbers">{_number_html(needed, "are needed in all")}{_number_html(minutes, "of each, about")}'
        f"{_number_html(f'{design.steps:,}', 'steps in all')}</div>"
    )
    for note in design.warnings():
        st.html(caption_html(note))
    if st.button("Make the study", type="primary", key="make-chains", disabled=not name.strip()):
        st.query_params.from_dict({"made": access.get_chain_store().create(ChainStudy(name, design)).name})
        st.rerun()


def _number_html(number: str, words: str) -> str:
    return f"<div><b>{html.escape(number)}</b><span>{html.escape(words)}</span></div>"


def _all_latents() -> tuple[SliderLatent, ...]:
    model = registry.load(GENERATOR, "generator")
    return _list_sliders(tuple(latent.name for latent in model.latent_names))


def _show_back_link() -> None:
    if st.button("All faces made by people", type="tertiary", icon=":material/arrow_back:", key="back"):
        st.query_params.clear()
        st.rerun()


def show_chain_study(name: str) -> None:
    """Show one study: the link, how it goes, and what the chains came to."""
    store = access.get_chain_store()
    study = store.study(name)
    st.title(markup.escape_markdown(describe_aim(study.design)), anchor=False)
    st.html(intro_html(_describe_design(study)))
    _show_back_link()
    st.html(_badges_html(study) + caption_html(study.name))
    if study.source == "human":
        _show_link(study)
    live = study.source == "human" and not study.closed
    st.fragment(_show_progress, run_every=REFRESH_SECONDS if live else None)(study)
    steps = store.steps(name)
    result = chain_analysis.measure_chains(study, steps)
    if result.chains:
        _show_faces(study, result, len(steps))
        st.header("Have the chains met?", anchor=False)
        show_figure_card(chain_figures.exhibit_choices(result), "chains-choices", name="faces-made-by-people")
        show_figure_card(chain_figures.exhibit_convergence(result), "chains-convergence", name="convergence")
    elif len(steps):
        st.html(caption_html("As soon as a chain has been through every part of the face once, what it came to shows here."))
    table = steps.drop(columns="presented")
    st.download_button("Every step (CSV)", lambda: encode_csv(table), "steps.csv", "text/csv", on_click="ignore", key="steps-csv",
                       disabled=table.empty, icon=":material/table:")  # fmt: skip
    _show_deletion(study)


def _describe_design(study: ChainStudy) -> str:
    """Who moves what, in a sentence."""
    design = study.design
    who = "Simulated people" if study.source == "simulated" else "People"
    chains, parts = count_noun(design.chains, "chain"), count_noun(len(design.latents), "part")
    goes = "passed from person to person" if design.passed_on else "each of one person"
    return f"{who} move {parts} of a face, one at a time: {chains}, {goes}."


def _show_link(study: ChainStudy) -> None:
    with st.container(key="send", border=True):
        if study.closed:
            st.subheader("This study is closed", anchor=False)
            st.html(caption_html("It takes no more steps. What was made is kept."))
            st.button("Open it again", key="reopen", on_click=_set_closed, args=(study.name, False))
            return
        st.subheader("Send this link", anchor=False)
        parts = urlsplit(st.context.url or "")
        origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
        link = f"{origin}/{navigation.TAKE_PART.url}?{face_making.PARAMETER}={study.token}"
        st.code(link, language=None, wrap_lines=True)
        st.button("Close the study", key="close", on_click=_set_closed, args=(study.name, True), icon=":material/lock:")
        here = " It works on this computer only." if (parts.hostname or "") in ("localhost", "127.0.0.1") else ""
        st.html(caption_html(f"Whoever has the link can take part.{here} {' '.join(study.design.warnings())}".strip()))


def _set_closed(name: str, closed: bool) -> None:
    access.get_chain_store().close(name, closed=closed)


def _show_progress(study: ChainStudy) -> None:
    done, design = access.get_chain_store().progress(study.name), study.design
    simulated = " simulated" if study.source == "simulated" else ""
    cells = _number_html(f"{done.complete:,} of {design.chains:,}", "chains are complete")
    cells += _number_html(f"{done.steps:,} of {design.steps:,}", "steps were taken")
    cells += _number_html(f"{done.people:,}", f"{simulated.strip()} {'person' if done.people == 1 else 'people'} took them".strip())
    st.html(f'<div class="numbers">{cells}</div>')


@st.cache_resource(show_spinner=False)
def cached_faces() -> SharedResultCache:
    """Judged faces by study and number of steps."""
    return SharedResultCache(96)


def make_faces_job(study: ChainStudy, key: tuple[str, int]) -> Callable[[Progress], ChainFaces]:
    """The work of a job: the chains' faces and their mean, drawn and judged."""
    steps = access.get_chain_store().steps(study.name)

    def make(progress: Progress) -> ChainFaces:
        return cached_faces().get_or_compute(key, lambda: chain_analysis.make_faces(study, steps, progress=progress), progress)  # type: ignore[no-any-return]

    return make


def _show_faces(study: ChainStudy, result: ChainResult, steps: int) -> None:
    """The mean face with every network's verdict, and the chains' faces; drawn at once where nothing is added any more."""
    key = (study.token, steps)
    made: ChainFaces | None = cached_faces().get(key)
    if made is None:
        still = study.closed or steps >= study.design.steps
        wanted = st.session_state.get("draw-chains") == key
        if not still and not wanted:
            st.button("Draw the faces so far", type="primary", key="draw-faces",
                      on_click=lambda: st.session_state.update({"draw-chains": key}))  # fmt: skip
            return
        job = find_or_start_job(FACES_JOB, key, "faces made by people", make_faces_job(study, key), automatic=still)
        if not job.finished:
            st.html(caption_html("The faces are drawn and shown to every network."))
            progress.watch_job(job.id)
            return
        if job.status != "done":
            progress.show_outcome(job)
            return
        made = job.result
    _show_mean(study, result, made)
    _show_feeling(made)
    _show_chains(study, made)


def _show_mean(study: ChainStudy, result: ChainResult, made: ChainFaces) -> None:
    who = "Simulated people" if study.source == "simulated" else "People"
    st.header(f"{who} came to this face", anchor=False)
    configuration = made.sample_set.emotion
    gallery = cache.cached_gallery(study.design.generator)
    for judged in made.means:
        base = gallery.base(judged.face.base)
        ended = sum(study.design.base_of(chain) == judged.face.base for chain in result.ends)
        before, after = "the person, at rest", f"mean of {count_noun(ended, 'chain')}"
        faces, verdicts = st.columns([7, 6], gap="large", vertical_alignment="center")
        rested = named_slider.load_rested_base(study.design.generator, judged.face.base)
        first = face_url(bases.draw_face(study.design.generator, rested))
        faces.html(markup.pair_html((first, before), (face_url(judged.picture), after)))
        verdicts.html(facts_html(_list_verdicts(judged, made)))
        verdicts.html(
            caption_html(
                f"Shares are calibrated. The mean of values need not be a face that anybody chose; look at the chains too. "
                f"{chain_figures.NO_PROOF}"
            )
        )
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            named = bases.name_made_face(study.design.generator, base.base_id, judged.latent)
            query = {
                "base": named,
                "generator": study.design.generator,
                "pair": f"{configuration.emotion1}-{configuration.emotion2}",
            }
            for page, label in ((navigation.MORPH, "Morph from this face"), (navigation.EMOTION, "Faces on the line from here")):
                st.page_link(navigation.build_page(page), label=label, query_params=query)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        title = f"{study.name}: {count_noun(len(made.sample_set.samples), 'face')}"
        simulated = " (simulated)" if study.source == "simulated" and "simulated" not in title else ""
        if st.button("All these faces on the map", key="chains-map", icon=":material/map:"):
            set_id = access.get_library().add(made.sample_set, title + simulated)
            st.switch_page(navigation.build_page(navigation.MAP), query_params={"faces": map_faces.SET, "set": set_id})
        ask_people(made.sample_set, title + simulated, key="ask-chains")


def _show_feeling(made: ChainFaces) -> None:
    """How much of the feeling each network sees in the mean face, and in the last faces of all chains with their interval."""
    record = chain_analysis.FacesMadeByPeople.from_manifest(made.sample_set.manifest)
    configuration = made.sample_set.emotion
    target = record.target if record is not None else ""
    samples = made.sample_set.samples
    shares = chain_analysis.measure_feeling(samples, configuration.classifiers, configuration.steerer, target)
    if record is not None and shares:
        show_figure_card(chain_figures.exhibit_feeling(shares, record), "chains-feeling", name="what-networks-see")


def _list_verdicts(judged: JudgedFace, made: ChainFaces) -> list[tuple[str, str]]:
    rows = []
    for name, scores in judged.opinions.items():
        best = max(range(len(EMOTIONS)), key=scores.calibrated.__getitem__)
        rows.append((f"{EMOTIONS[best]}, {format_percent(scores.calibrated[best], 0)}", f"says {registry.title(name)}"))
    return rows


def _show_chains(study: ChainStudy, made: ChainFaces) -> None:
    st.header("How they got there", anchor=False)
    st.html(intro_html("Every chain from its random beginning, round by round. Press a face to see what each network says of it."))
    groups: dict[int, list[JudgedFace]] = {}
    for judged in made.faces:
        if judged in made.means:
            continue
        groups.setdefault(judged.face.chain, []).append(judged)
    shown = []
    for chain, faces in groups.items():
        stride = max(1, -(-len(faces) // STRIP_FACES))
        picked = [*faces[:-1][::stride], faces[-1]]
        tiles = [
            Tile(
                f"{judged.face.chain}.{judged.face.sweep}",
                face_url(judged.picture),
                f"Generated face of chain {chain + 1} after {count_noun(judged.face.sweep, 'round')}",
                note="start" if judged.face.sweep == 0 else f"round {judged.face.sweep}",
            )
            for judged in picked
        ]
        shown.append(FaceGroup(tiles, title=f"Chain {chain + 1}", columns=len(tiles)))
    show_faces(
        shown, key="chain-faces", on_pick=lambda name: st.session_state.update({"chain-face": name}), layout="rows", tile="6rem"
    )
    picked_name = st.session_state.pop("chain-face", None)
    by_name = {f"{judged.face.chain}.{judged.face.sweep}": judged for faces in groups.values() for judged in faces}
    if picked_name in by_name:
        _open_face(study, by_name[picked_name])


@st.dialog("A face of a chain", width="large")
def _open_face(study: ChainStudy, judged: JudgedFace) -> None:
    markup.show_simulated_badge(study.source)
    picture, verdicts = st.columns(2, gap="large")
    words = f"chain {judged.face.chain + 1}, " + (f"round {judged.face.sweep}" if judged.face.sweep else "where it began")
    picture.html(markup.portrait_html(face_url(judged.picture), f"Generated face, {words}", words))
    for name, scores in judged.opinions.items():
        verdicts.html(
            f"<b>{html.escape(registry.title(name))}</b>" + markup.bars_html(dict(zip(EMOTIONS, scores.calibrated, strict=True)))
        )


def _show_deletion(study: ChainStudy) -> None:
    with st.expander("Delete people's data, or all of this", icon=":material/delete:"):
        store = access.get_chain_store()
        names = [person.person for person in store.people(study.name)]
        st.html(caption_html("Steps of somebody who is deleted stay without the name, because others have built on them."))
        person = st.selectbox("Whose data?", names, index=None, placeholder="The name that they read at the end", key="forget-who")
        if st.button("Delete this person's data", key="forget-person", disabled=person is None):
            store.forget(study.name, str(person))
            st.rerun()
        typed = st.text_input(f"Type the study's name to delete all of it: {study.name}", key="delete-name", width=420)
        if st.button("Delete all of it", key="delete-chains", disabled=typed.strip() != study.name):
            store.delete(study.name)
            st.query_params.clear()
            st.rerun()

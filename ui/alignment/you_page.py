"""The page 'You': a visitor answers about some faces, each answer is predicted before it is given, and the visitor's profile is
compared with the group's.

The profile is in words first, each with its interval; with few answers it says only that they are too few. Then the faces on which
the visitor's model and the group's differ: the study's own, and new ones made for the visitor, who judges each before the
predictions are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.alignment.alignment import Alignment
from core.alignment.personal import MIN_ANSWERS, PersonProfile, RunningScore, profile_person, score_guesses
from core.alignment.response_patterns import CONSTANT_SHARE
from core.alignment.stimulus_choice import ControversialImage, rank_controversial, search_controversial
from core.analysis.estimate import Array, Estimate
from core.errors import LiminalError
from core.figures.alignment import exhibit_bias
from core.figures.exhibit import build_file_name
from core.figures.theme import format_percent
from core.models.emotions import EMOTIONS
from core.progress import Progress
from ui import components, markup, navigation, progress
from ui.alignment import answers, runs
from ui.alignment.answers import BLOCK_SIZE, MORE_QUESTIONS, VisitorAnswers, current_visitor
from ui.analysis import study_choice
from ui.analysis.figure_card import show_figure_card
from ui.analysis.study_choice import StudyChoice
from ui.components import Tile
from ui.components.trials import ask_emotion
from ui.jobs import find_or_start_job
from ui.markup import caption_html, count_noun, facts_html, intro_html, study_badges_html
from ui.pictures import face_url


def show_profile(chosen: StudyChoice, you: VisitorAnswers) -> None:
    """Show the profile, or that the answers are too few for one."""
    st.header("You and the crowd", anchor="you-profile")
    simulated = chosen.study_data.source == "simulated"
    source = "people and simulated" if simulated else "people"
    if you.n < MIN_ANSWERS:
        st.html(
            intro_html(f"{you.n} answers are too few to say anything of you; {MIN_ANSWERS - you.n} more, and there is a profile.")
        )
        st.html(score_html(you))
        return
    profile = profile_person("you", you.group_predictions, you.answered_emotions, you.prior, source=source)
    score = score_guesses("you", you.own_predictions, you.group_predictions, you.answered_emotions, source=source)
    crowd = markup.name_raters(chosen.study_data.source)
    _show_conclusion(chosen, you, crowd)
    if you.learned().noticed:
        st.html(facts_html([_show_guess_score(you, score), describe_pattern(you)]))
        st.html(caption_html("A profile needs answers that follow the faces. Begin again and look at each face."))
        return
    if simulated:
        st.html(
            caption_html("This crowd is simulated: nobody was asked, so that where you part from it says nothing of other people.")
        )
    st.html(facts_html([_show_guess_score(you, score), *_profile_sentences(profile, crowd)]))
    show_figure_card(exhibit_bias(profile, crowd), "you-leanings", name=build_file_name("you", "profile"))
    st.html(
        caption_html(
            f"From {you.n} answers. They describe how you answered about generated faces today, and are no test of you; a second "
            "round would give somewhat other numbers, as the intervals say."
        )
    )


def _show_conclusion(chosen: StudyChoice, you: VisitorAnswers, crowd: str) -> None:
    """One sentence and one face: of the faces that were answered, the one whose votes differ most from the answer."""
    if you.learned().noticed:
        return
    answers = you.alignment.answers
    apart = []
    for question in you.answers:
        counts = answers.counts[answers.images.index(question.stimulus)]
        most = int(counts.argmax())
        if most != question.answer and counts.sum() and chosen.picture(question.stimulus):
            apart.append(((counts[most] - counts[question.answer]) / counts.sum(), question, counts, most))
    if not apart:
        st.html(intro_html(f"You saw these faces as most {crowd} did."))
        return
    _, question, counts, most = max(apart, key=lambda row: row[0])
    often = "most" if counts[most] > counts.sum() / 2 else "many"
    sentence = f"You saw {EMOTIONS[question.answer]} where {often} {crowd} saw {EMOTIONS[most]}: this face."
    with st.container(key="you-conclusion"):
        st.html(markup.portrait_html(chosen.picture(question.stimulus), f"A generated face. {sentence}", sentence))
        st.html(caption_html(f"{int(counts[most]):,} of {count_noun(int(counts.sum()), 'answer')} are {EMOTIONS[most]}."))


def score_html(you: VisitorAnswers) -> str:
    """The score of both models so far, as HTML."""
    own_right, group_right = you.score()
    few = "" if you.n >= 30 else " Too few to tell who is better."
    return caption_html(
        f"Guessed right so far: {own_right} of {you.n} from your answers before; {group_right} of {you.n} by everybody’s "
        f"model.{few}"
    )


def describe_pattern(you: VisitorAnswers) -> tuple[str, str]:
    """A fact of answers that ignore the faces: one answer, or a few, whatever the face showed, or chance. Else empty."""
    person = you.learned()
    if not person.noticed:
        return "", ""
    count, name = int(person.counts.max()), EMOTIONS[int(person.counts.argmax())]
    if person.noticed == "random":
        return (
            "Chance",
            "is what your answers look like: they follow the faces neither as the crowd does nor otherwise.",
        )
    if count >= CONSTANT_SHARE * you.n:
        words = f"times you said {name}, whatever the face showed. That is easy to guess, and says nothing of how you see faces."
        return f"{count} of {you.n}", words
    return (
        "Habit",
        f"is what your answers look like: {count} of {you.n} are {name}, and which one comes does not depend on the face.",
    )


def _show_guess_score(you: VisitorAnswers, score: RunningScore) -> tuple[str, str]:
    own_right, group_right = you.score()
    gain = score.gain
    times, low, high = (f"{2**bits:.2g}" for bits in (gain.value, gain.low, gain.high))
    ratio = f"{times} times the chance that everybody’s model gave (on average; 95 % interval {low} to {high}, 1 is even)"
    if gain.low > 0 and own_right >= group_right:
        verdict = f"Your own model expects your answers better: to what you said it gave {ratio}."
    elif gain.high < 0 and own_right <= group_right:
        verdict = f"Everybody’s model still expects your answers better: to what you said your own model gave {ratio}."
    else:
        verdict = f"Which of the two knows you better cannot be told yet: to what you said your own model gave {ratio}."
    return format_percent(own_right / you.n), (
        f"of your {you.n} answers were guessed before you gave them, from your earlier ones; everybody’s model had "
        f"{format_percent(group_right / you.n)}. {verdict}"
    )


def _profile_sentences(profile: PersonProfile, crowd: str) -> list[tuple[str, str]]:
    """Facts of a profile: emotions whose bias departs from the crowd, or that none does; then sensitivity and lapses."""
    facts = []
    for name in profile.departs:
        bias = profile.bias[name]
        words = f"as often as the crowd you say {name} where a face is unclear ({_format_interval(bias)})."
        facts.append((f"{_format_factor(bias.value)}×", words))
    if not facts:
        facts.append(("Even", f"No feeling stands out: where a face is unclear you lean as the {crowd} do, as far as can be told."))
    sensitivity = profile.sensitivity
    if sensitivity.low > 1:
        how = "You tell these faces apart more sharply than the crowd’s model does"
    elif sensitivity.high < 1:
        how = "You tell these faces apart less sharply than the crowd’s model does"
    else:
        how = "You tell these faces apart about as sharply as the crowd’s model does"
    facts.append((f"{_format_factor(sensitivity.value)}×", f"{how} ({_format_interval(sensitivity)}; 1 is the same)."))
    lapse = profile.lapse
    facts.append(
        (
            format_percent(lapse.value),
            "of your answers look like slips, given whatever the face was "
            f"({format_percent(lapse.low)} to {format_percent(lapse.high)}).",
        )
    )
    return facts


def _format_factor(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "–"


def _format_interval(estimate: Estimate) -> str:
    return f"95 % interval {estimate.low:.2f} to {estimate.high:.2f}"


GROUP_JOB = "you_group_job"


def show_you(chosen: StudyChoice) -> None:
    """Show the step at which the visitor is: a model to compare with, questions, or the profile."""
    asks = chosen.study.plan.asks
    if asks != "emotion":
        what = "This study asks who it is." if asks == "identity" else "People gave answers of this study's own."
        st.info(f"{what} Your profile is about feelings; choose one below that asks about those.")
        _offer_other_crowd()
        return
    try:
        group_model = _find_group_model(chosen)
    except LiminalError as error:
        st.info(str(error))
        _offer_other_crowd()
        return
    if group_model is not None:
        _show_answering(chosen, current_visitor(*group_model))
    with st.container(key="you-crowd"):
        st.html(study_badges_html(chosen.study) + caption_html(chosen.study.name))


def _offer_other_crowd() -> None:
    """A link to the same page with a crowd that can be learned from, where there is one."""
    other = study_choice.find_learnable_study()
    if other is not None:
        st.page_link(
            navigation.build_page(navigation.YOU),
            label=f"Compare yourself with “{markup.escape_markdown(other.name)}”",
            query_params={"study": other.name},
            icon=":material/groups:",
        )


def _show_answering(chosen: StudyChoice, you: VisitorAnswers) -> None:
    """Show the next question, or the profile."""
    pictured = {name: chosen.picture(name) for name in you.alignment.answers.images if chosen.picture(name)}
    if you.n < you.target and you.question(pictured) is not None:
        _ask_question(you, pictured)
    else:
        show_profile(chosen, you)
        if you.n >= BLOCK_SIZE and not you.learned().noticed:
            show_study_faces(chosen, you)
            show_personal_stimuli(you)
        _offer_more(you, pictured)
    if you.n:
        answers.show_hand_in(chosen, you)


def _find_group_model(chosen: StudyChoice) -> tuple[Alignment, str] | None:
    """An alignment of this study and a network of it whose group model has learned; where there is none, offer to make one."""
    alignments, names = runs.list_alignments(chosen), runs.list_networks(chosen)
    for name in names:  # faces can be made for the first one only
        for alignment in alignments:
            if name in alignment.configuration.classifiers and alignment.ready(name):
                st.session_state.pop("you-learn", None)
                return alignment, name
    usual = runs.find_alignment(chosen, runs.DEFAULT_CONFIGURATION)
    name = names[0]
    if usual.ready(name):  # it came with the package
        return usual, name
    if st.session_state.get("you-learn") != usual.alignment_id:
        _offer_group_model(usual, chosen)
        return None
    job = find_or_start_job(GROUP_JOB, usual.alignment_id, "learning from people", runs.make_learning_job((usual,), (name,), 0))
    if not job.finished:
        st.html(caption_html("A network learns what people said of these faces; afterwards you can be compared with them."))
        progress.watch_job(job.id)
        return None
    st.session_state.pop("you-learn")
    if job.status == "done":
        st.rerun()
    progress.show_outcome(job)
    _offer_group_model(usual, chosen)
    return None


def _offer_group_model(usual: Alignment, chosen: StudyChoice) -> None:
    st.html(intro_html("First a network has to learn what people said of these faces. It takes some minutes, once for everybody."))

    def start() -> None:
        st.session_state.pop(GROUP_JOB, None)
        st.session_state["you-learn"] = usual.alignment_id

    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.button("Let it learn", type="primary", key="you-learn-button", icon=":material/school:", on_click=start)
        st.page_link(
            navigation.build_page(navigation.ALIGN), label="Or choose how it learns", query_params={"study": chosen.study.name}
        )


@st.fragment
def _ask_question(you: VisitorAnswers, pictured: Mapping[str, str]) -> None:
    """Ask about one face, with the guess at the answer before and the score. The page runs again after the last one."""
    question = you.question(pictured)
    if you.n >= you.target or question is None:
        st.rerun()
    st.progress(you.n / you.target, text=f"{you.n} of {you.target} answered; your next answer is guessed already.")
    guess, right = _describe_guess(you)
    ask_emotion(
        number=you.n,
        stimulus=question.stimulus,
        src=pictured[question.stimulus],
        key="you-question",
        on_answer=you.answer,
        feedback=guess,
        right=right,
    )
    if you.n:
        st.html(score_html(you))
    if you.learned().noticed:
        st.info(" ".join(describe_pattern(you)), icon=":material/visibility:")
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="you-options"):
        st.toggle(
            "Ask what tells most about me",
            you.informative,
            key="you-informative",
            on_change=lambda: setattr(you, "informative", st.session_state["you-informative"]),
            help="Off: faces at random. On: each face is the one whose answer is expected to say most about you; these are the "
            "hardest to guess. It holds from the face after this one.",
        )
        if you.n:
            st.button("Begin again", key="you-again", type="tertiary", on_click=_start_again, args=(you,))


def _describe_guess(you: VisitorAnswers) -> tuple[str, bool | None]:
    """The guess at the last answer in words, and whether it was right; None before the first one."""
    if not you.n:
        return "No hurry: nothing is timed.", None
    last = you.answers[-1]
    guessed, group = int(last.own_guess.argmax()), int(last.group_guess.argmax())
    crowd = f"Everybody’s model said {EMOTIONS[group]}."
    guess = f"The guess was {EMOTIONS[guessed]}, made with {100 * last.own_guess[guessed]:.0f} % confidence."
    return f"You said {EMOTIONS[last.answer]}. {guess} {crowd}", guessed == last.answer


def _start_again(you: VisitorAnswers) -> None:
    st.session_state.pop("you-visitor", None)
    st.session_state.pop("you-informative", None)


def _offer_more(you: VisitorAnswers, pictured: Mapping[str, str]) -> None:
    """Buttons for more questions and for a new start."""
    left = sum(name not in {question.stimulus for question in you.answers} for name in pictured)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="you-more"):
        if left:
            count = min(MORE_QUESTIONS, left)

            def raise_target() -> None:
                you.target = you.n + count

            st.button(f"Answer {count} more", key="you-more-button", on_click=raise_target)
        st.button("Begin again", key="you-again", type="tertiary", on_click=_start_again, args=(you,))


STIMULI_JOB, WANTED_SLOT, SELECTED_SLOT = "you_made_job", "you-made-wanted", "you-looked-at"
STIMULUS_COUNT = 4
STUDY_FACE_COUNT = 6


def show_study_faces(chosen: StudyChoice, you: VisitorAnswers) -> None:
    """Show the faces of the study on which the two models differ most."""
    names = you.alignment.answers.images
    own_predictions = you.learned().probabilities(you.crowd)
    table = rank_controversial(names, own_predictions, you.crowd)
    rows = table[table["score"] > 0].head(STUDY_FACE_COUNT)
    st.space("medium")
    st.header("Where you part from the crowd", anchor="you-apart")
    if rows.empty:
        st.html(intro_html("On every face of this study you would most likely say what most people say."))
        return
    st.html(
        intro_html(
            "Faces of this study of which you would say one thing and most people another, by what your answers tell so far."
        )
    )
    crowd = markup.name_raters(you.alignment.answers.source)
    tiles = [
        Tile(
            str(row["stimulus"]),
            chosen.picture(str(row["stimulus"])),
            f"A generated face. You would say {row['you']}, most {crowd} would say {row['most']}.",
            words=f"you: {row['you']}, {100 * row['p_you']:.0f} %",
            note=f"most {crowd}: {row['most']}, {100 * row['p_most']:.0f} %",
        )
        for row in rows.to_dict("records")
    ]
    components.show_faces(
        [components.FaceGroup(tiles, columns=3)], key="you-apart-faces", on_pick=_select_face, layout="rows", tile="20rem"
    )
    if _selected_face() in set(rows["stimulus"]):
        index = names.index(_selected_face())
        _show_face_dialog(chosen.picture(_selected_face()), own_predictions[index], you.crowd[index], you.alignment.answers.source)


def _select_face(name: str) -> None:
    st.session_state[SELECTED_SLOT] = name


def _selected_face() -> str:
    return str(st.session_state.get(SELECTED_SLOT, ""))


def _clear_face() -> None:
    st.session_state.pop(SELECTED_SLOT, None)


@st.dialog("You and the crowd on this face", width="large", on_dismiss=_clear_face)
def _show_face_dialog(src: str, own_shares: Array, group_shares: Array, source: str) -> None:
    markup.show_simulated_badge(source)
    face, predictions = st.columns([5, 7], gap="large")
    with face:
        st.html(markup.portrait_html(src, "A generated face", ""))
    with predictions:
        crowd = f"What most {markup.name_raters(source)} would say"
        for title, shares in (("What you would say", own_shares), (crowd, group_shares)):
            st.html(f'<p class="voice">{title}</p>' + markup.bars_html(dict(zip(EMOTIONS, map(float, shares), strict=True))))
        st.html(caption_html("What the two models expect: yours from your answers so far, everybody’s from the study’s."))


def show_personal_stimuli(you: VisitorAnswers) -> None:
    """Show new faces: made on request, judged by the visitor, then compared with both predictions."""
    if you.network != you.alignment.chain.classifier:  # the one that the search goes through
        return
    st.space("medium")
    st.header("Faces made for you", anchor="you-made")
    if you.stimuli:
        if len(you.stimulus_answers) < len(you.stimuli):
            _judge_stimuli(you)
        else:
            _show_predictions(you)
            _offer_stimuli(you, "Make others")
        return
    st.html(
        intro_html(
            f"{STIMULUS_COUNT} new faces at the boundary between your model and everybody’s: you should say one thing of them and "
            "most people another. You say what you see first; then you hear what was foretold."
        )
    )
    if not _show_running(you):
        _offer_stimuli(you, "Make faces for me")


def _offer_stimuli(you: VisitorAnswers, label: str) -> None:
    def start() -> None:
        st.session_state.pop(STIMULI_JOB, None)
        you.stimuli, you.stimulus_answers, you.rounds = [], [], you.rounds + 1
        st.session_state[WANTED_SLOT] = _job_key(you)

    st.button(label, type="secondary" if you.stimuli else "primary", key="you-make", icon=":material/auto_awesome:", on_click=start)


def _job_key(you: VisitorAnswers) -> tuple[str, int, int]:
    return you.alignment.alignment_id, you.n, you.rounds


def _show_running(you: VisitorAnswers) -> bool:
    """Show the job that makes faces -> whether it is running."""
    if st.session_state.get(WANTED_SLOT) != _job_key(you):
        return False
    job = find_or_start_job(STIMULI_JOB, _job_key(you), "faces for one person", _make_stimuli_job(you))
    if not job.finished:
        progress.watch_job(job.id)
        return True
    st.session_state.pop(WANTED_SLOT)
    if job.status == "done":
        you.stimuli = list(job.result)
        st.rerun()
    progress.show_outcome(job)
    return False


def _make_stimuli_job(you: VisitorAnswers) -> Callable[[Progress], list[ControversialImage]]:
    alignment, known, seed = you.alignment, you.learned().shift, 1000 * you.rounds + you.n

    def work(progress: Progress) -> list[ControversialImage]:
        progress.stage("Loading the networks", 0.0)
        return search_controversial(alignment, known, count=STIMULUS_COUNT, seed=seed, progress=progress)

    return work


@st.fragment
def _judge_stimuli(you: VisitorAnswers) -> None:
    """Ask about one new face after the other; the predictions stay hidden."""
    number = len(you.stimulus_answers)
    if number == len(you.stimuli):
        st.rerun()
    st.html(
        caption_html(
            f"New face {number + 1} of {len(you.stimuli)}. What was foretold stays sealed until you have judged all of them."
        )
    )

    def take_answer(message: Mapping[str, Any]) -> None:
        if message.get("number") == len(you.stimulus_answers) and message.get("emotion") in EMOTIONS:
            you.stimulus_answers.append(EMOTIONS.index(message["emotion"]))

    ask_emotion(
        number=number,
        stimulus=f"made-{you.rounds}-{number}",
        src=face_url(you.stimuli[number].picture),
        key="you-made-question",
        on_answer=take_answer,
    )


def _show_predictions(you: VisitorAnswers) -> None:
    """Show the predictions beside the answers."""
    answered = [(face, EMOTIONS[answer]) for face, answer in zip(you.stimuli, you.stimulus_answers, strict=True)]
    own_right = sum(emotion == face.you for face, emotion in answered)
    group_right = sum(emotion == face.most for face, emotion in answered)
    same = sum(not face.differ for face in you.stimuli)
    note = f" For {same} of them the two models ended with the same answer." if same else ""
    st.html(
        intro_html(
            f"Of {len(you.stimuli)} faces you said of {own_right} what your model foretold, and of {group_right} what everybody’s "
            f"model says."
            f"{note} That is few: it shows the idea and proves nothing."
        )
    )
    tiles = [
        Tile(
            f"made-{number}",
            face_url(face.picture),
            f"A new face. You would say {face.you}, most would say {face.most}; you said {emotion}.",
            title=f"You would say {face.you}, most would say {face.most}" if face.differ else f"Both would say {face.you}",
            words=f"you said {emotion}" + (", as foretold" if emotion == face.you else ""),
            note=f"your model {100 * face.own.max():.0f} % sure, everybody’s {100 * face.group.max():.0f} %",
        )
        for number, (face, emotion) in enumerate(answered)
    ]
    components.show_faces(
        [components.FaceGroup(tiles, columns=4)], key="you-made-faces", on_pick=_select_face, layout="rows", tile="17rem"
    )
    if _selected_face() in {tile.id for tile in tiles}:
        face = you.stimuli[[tile.id for tile in tiles].index(_selected_face())]
        _show_face_dialog(face_url(face.picture), face.own, face.group, you.alignment.answers.source)
    st.html(caption_html("“Most” is everybody’s model here: nobody else has seen these faces. They do not count for your profile."))

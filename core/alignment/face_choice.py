"""The next face of one rater where faces lie on no axis: the one whose answer is expected to tell most about this person.

The group's model is light enough to be fitted anew while people take part: a multinomial logistic regression from what the
classifiers say of a face to people's answers, then each face's own votes under a Dirichlet distribution around it, as wide as the
votes ask for (Minka 2000, "Estimating a Dirichlet distribution"). The person's model is a shift of the group's
(``core.alignment.observer``), learned from their answers so far. Of the faces that were not asked yet the one is shown whose
answer is expected to take most from the log loss on the study's boundary faces
(``core.alignment.stimulus_choice.expected_gain``): those that the group is torn about, by paper B's measure of success. Among
faces that tell nearly as much, the one with the fewest votes is shown, which tells most about the group. Expected information as
the reason to observe something: Lindley 1956, Annals of Mathematical Statistics 27.

Faces are shown at random until the people who count have given FEWEST_VOTES answers a face on average: a group that is hardly
known misleads the choice. Of the demonstration's faces choosing saved simulated people nothing after 3 answers a face, nothing
that can be told after 6, and 26 to 39 % of the answers after 17 (``python -m benchmarks adaptive``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import gammaln, log_softmax, softmax

from core.alignment.data import AnswerSet, IndexArray, count_votes, encode_answers, select_last_answers
from core.alignment.observer import EMOTION_COUNT, PersonPosterior, PersonPrior, fit_person, fit_prior, information_roots
from core.alignment.psi import PsiChooser
from core.alignment.stimulus_choice import MAX_TARGETS, expected_gain
from core.analysis.emotion_tables import MIN_SHARE_EACH, MIN_SHARE_TOGETHER
from core.analysis.encode import select_probabilities
from core.analysis.estimate import Array, Basis, Estimate, Result, bootstrap_estimate, name_sources
from core.analysis.study_data import StudyData
from core.models.emotions import EMOTIONS
from core.sampling.configuration import numpy_generator
from core.studies.adaptive import StimulusChooser, find_axes, list_faces
from core.studies.exclusions import ExclusionRules, apply_exclusion_rules
from core.studies.ratings import make_ratings_table
from core.studies.simulation import HIDDEN_CLASSIFIER
from core.studies.study import RatingPlan, Stimulus, Study

FEWEST_VOTES = 5.0
"""Answers a face, on average, from which on there is a model of the group."""
FEWEST_ANSWERS = 10
"""Of a person, for what is said of choices."""
MAX_PRIOR_PEOPLE = 30
"""People by whom the spread between people is fitted."""
MAX_CANDIDATES = 400
"""Of more faces that are left a random subset of this size is compared."""
NEARLY = 0.95
"""Faces with this share of the largest expected gain tell nearly as much."""
FEWEST_TORN = 10
"""Where the group is torn about fewer faces, answers to all of them are to be foretold."""
RIDGE = 2.0
"""Penalty on the squared weights of standardised features, nats."""
CONCENTRATIONS = tuple(np.geomspace(0.5, 200.0, 25))
"""How many votes the regression may be worth beside a face's own."""


@dataclass(frozen=True, eq=False)
class FaceTable:
    """The faces that an adaptive study chooses among, and standardised log probabilities of the classifiers (N, F), F may be 0."""

    faces: tuple[str, ...]
    features: Array

    @classmethod
    def of(cls, study_data: StudyData) -> FaceTable:
        """The faces of a study that check no attention.

        The classifier that simulated observers see through is left out, so that simulations do not learn from their own truth.
        """
        faces = tuple(list_faces(study_data.study.plan, study_data.stimuli))
        samples = study_data.samples.set_index("sample_id", drop=False)
        if not set(faces) <= set(samples.index):  # pictures that are not in the library
            return cls(faces, np.empty((len(faces), 0)))
        rows = samples.loc[list(faces)]
        logs = [
            np.log(np.maximum(select_probabilities(rows, name, study_data.steerer), 1e-4))
            for name in study_data.classifiers
            if name != HIDDEN_CLASSIFIER
        ]
        features = np.concatenate(logs, axis=1) if logs else np.empty((len(faces), 0))
        return cls(faces, (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9))


@dataclass(frozen=True, eq=False)
class GroupPredictions:
    """The group's model of a study's faces, fitted to the answers of several people.

    regression (N, 6): probabilities by the classifiers alone; concentration: how many votes these are worth.
    """

    faces: tuple[str, ...]
    answers: AnswerSet
    regression: Array
    concentration: float

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Face -> its row."""
        return {name: row for row, name in enumerate(self.faces)}

    @cached_property
    def votes(self) -> Array:
        """Votes by face and emotion (N, 6)."""
        return self._count(np.arange(len(self.answers)))

    def _count(self, rows: IndexArray) -> Array:
        """Votes of some rows of ``answers`` by face and emotion (N, 6)."""
        image = np.array([self.places[name] for name in self.answers.images], np.intp)[self.answers.image[rows]]
        return count_votes(image, self.answers.emotion[rows], len(self.faces))

    def predict(self, without: str = "") -> Array:
        """Probabilities of the answers (N, 6); without: a rater whose own votes are left out, so that they do not foretell them."""
        votes = self.votes
        if without in self.answers.raters:
            votes = votes - self._count(np.flatnonzero(self.answers.rater == self.answers.index_of(without)))
        totals = self.concentration + votes.sum(axis=1, keepdims=True)
        p: Array = (self.concentration * self.regression + votes) / totals
        return p

    @cached_property
    def prior(self) -> PersonPrior:
        """How much people differ, by those with most answers."""
        counts = np.bincount(self.answers.rater, minlength=len(self.answers.raters))
        people = []
        for rater in np.argsort(-counts, kind="stable")[:MAX_PRIOR_PEOPLE]:
            rows = np.flatnonzero(self.answers.rater == rater)
            faces = [self.places[self.answers.images[image]] for image in self.answers.image[rows]]
            people.append((self.predict(self.answers.raters[rater])[faces], self.answers.emotion[rows]))
        return fit_prior(people)


def fit_group(table: FaceTable, ratings: pd.DataFrame, excluded: Collection[str] = ()) -> GroupPredictions | None:
    """Fit the group's model to rows of RATINGS; None under FEWEST_VOTES answers a face. A tenth of a second for 300 faces."""
    rows = select_last_answers(ratings, "emotion", table.faces, excluded)
    rows = rows[rows["value"].isin(EMOTIONS)]
    if len(rows) < FEWEST_VOTES * len(table.faces) or rows["rater"].nunique() < 2:
        return None
    answers = encode_answers(rows, np.asarray(pd.Index(EMOTIONS).get_indexer(pd.Index(rows["value"])), np.intp))
    blank = GroupPredictions(table.faces, answers, np.full((len(table.faces), EMOTION_COUNT), 1 / EMOTION_COUNT), 1.0)
    regression = _regress_votes(table.features, blank.votes)
    concentration = max(CONCENTRATIONS, key=lambda worth: _dirichlet_likelihood(worth * regression, blank.votes))
    return GroupPredictions(table.faces, answers, regression, float(concentration))


def _regress_votes(features: Array, votes: Array) -> Array:
    """Multinomial logistic regression of votes (N, 6) on features (N, F) -> probabilities (N, 6)."""
    design = np.hstack([np.ones((len(features), 1)), features])
    seen = votes.sum(axis=1) > 0
    penalty = np.full((design.shape[1], 1), RIDGE)
    penalty[0] = 1e-3

    def lose(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(design.shape[1], EMOTION_COUNT)
        logs = log_softmax(design[seen] @ weights, axis=1)
        wrong = np.exp(logs) * votes[seen].sum(axis=1, keepdims=True) - votes[seen]
        loss = -(votes[seen] * logs).sum() + 0.5 * (penalty * weights**2).sum()
        return float(loss), (design[seen].T @ wrong + penalty * weights).ravel()

    fitted = minimize(lose, np.zeros(design.shape[1] * EMOTION_COUNT), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    p: Array = softmax(design @ fitted.x.reshape(design.shape[1], EMOTION_COUNT), axis=1)
    return p


def _dirichlet_likelihood(parameters: Array, votes: Array) -> float:
    """Log probability of votes (N, 6) under Dirichlet distributions (N, 6), but for a constant."""
    total, n = parameters.sum(axis=1), votes.sum(axis=1)
    own = (gammaln(parameters + votes) - gammaln(parameters)).sum(axis=1)
    return float((gammaln(total) - gammaln(total + n) + own).sum())


@dataclass(frozen=True, eq=False)
class FaceChooser:
    """Expected information as a ``core.studies.adaptive.StimulusChooser``. group: None before there is one."""

    group: GroupPredictions | None

    def choose_stimuli(
        self, plan: RatingPlan, stimuli: Sequence[Stimulus], ratings: pd.DataFrame, asked: Collection[str], seed: int
    ) -> list[str]:
        """One face, at random where there is no group yet; none where all were asked."""
        left = [name for name in list_faces(plan, stimuli) if name not in asked]
        random = numpy_generator(seed)
        if not left:
            return []
        if self.group is None:
            return [left[int(random.integers(len(left)))]]
        group = self.group
        shown, answered = read_person(group, ratings)
        predicted = group.predict(str(ratings["rater"].iloc[0]) if len(ratings) else "")
        person = fit_person(predicted[shown], answered, group.prior)
        places = np.array([group.places[name] for name in left], np.intp)
        return [group.faces[choose_face(person, predicted, group.votes, places, random)]]


def choose_face(person: PersonPosterior, predicted: Array, votes: Array, left: IndexArray, random: np.random.Generator) -> int:
    """The row of the face to show next. predicted, votes (N, 6): the group's probabilities and votes of all faces; left: rows of
    those that can be shown."""
    candidates, targets = left[random.permutation(len(left))[:MAX_CANDIDATES]], find_torn(predicted)
    targets = targets[random.permutation(len(targets))[:MAX_TARGETS]]
    gained = expected_gain(person, predicted[candidates], predicted[targets])
    near = candidates[gained >= NEARLY * gained.max()]
    return int(near[int(votes[near].sum(axis=1).argmin())])


def find_torn(predicted: Array) -> IndexArray:
    """Rows of the faces, probabilities (N, 6), between two feelings; of all faces where there are fewer than FEWEST_TORN."""
    top = np.sort(predicted, axis=1)[:, -2:]
    rows = np.flatnonzero((top[:, 0] > MIN_SHARE_EACH) & (top.sum(axis=1) > MIN_SHARE_TOGETHER))
    return rows if len(rows) >= FEWEST_TORN else np.arange(len(predicted))


def read_person(group: GroupPredictions, ratings: pd.DataFrame) -> tuple[IndexArray, IndexArray]:
    """One rater's answers to faces of the study: rows of faces (n,) and emotions (n,). ratings: rows of RATINGS of that rater."""
    columns = (ratings[name].to_list() for name in ("task", "stimulus", "value"))
    pairs = [
        (group.places[stimulus], EMOTIONS.index(value))
        for task, stimulus, value in zip(*columns, strict=True)
        if task == "emotion" and stimulus in group.places and value in EMOTIONS
    ]
    rows: IndexArray = np.array(pairs, np.intp).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def make_chooser(study: Study, stimuli: Sequence[Stimulus], find_group: Callable[[], GroupPredictions | None]) -> StimulusChooser:
    """Who chooses follows from the study's stimuli: psi along axes; of faces on none the expected information.

    find_group: gives the group's model of such faces.
    """
    return PsiChooser(study.plan.stop_width) if find_axes(study.plan, stimuli) else FaceChooser(find_group())


def fit_study_group(table: FaceTable, study: Study, stimuli: Sequence[Stimulus], ratings: pd.DataFrame) -> GroupPredictions | None:
    """As ``fit_group``, of those whom the plan's rules do not leave out so far."""
    return fit_group(table, ratings, apply_exclusion_rules(ratings, stimuli, ExclusionRules.of_plan(study.plan)).reasons)


def count_refits(answers: int) -> int:
    """How often the group's model was to be fitted by now: anew whenever there are a tenth more answers."""
    return int(math.log(max(answers, 1)) / math.log(1.1))


@dataclass(eq=False)
class SimulatedChoice:
    """The choosers of simulated raters, one after another, with a group's model of those before. study_data: without answers."""

    study_data: StudyData
    refits: int = 0
    group: GroupPredictions | None = None

    def find_chooser(self, rows: Sequence[dict[str, Any]]) -> StimulusChooser:
        """rows: of RATINGS, the answers of everybody before."""
        study, stimuli = self.study_data.study, self.study_data.stimuli

        def find_group() -> GroupPredictions | None:
            if count_refits(len(rows)) != self.refits:
                self.refits = count_refits(len(rows))
                self.group = fit_study_group(FaceTable.of(self.study_data), study, stimuli, make_ratings_table(rows))
            return self.group

        return make_chooser(study, stimuli, find_group)


@dataclass(frozen=True, kw_only=True)
class ChoiceBenefit(Result):
    """What choosing faces saved, by the models of the people who were asked.

    share: the answers that each person gave over those that faces at random would have needed for the same expected log loss; mean
    over people, 1: nothing saved. table: rater, n (answers), needed (answers to faces at random), share.
    """

    share: Estimate
    table: pd.DataFrame


def measure_benefit(group: GroupPredictions, ratings: pd.DataFrame, excluded: Collection[str] = ()) -> ChoiceBenefit:
    """Compare the faces that people were shown with faces at random from the same study.

    The expected log loss of a person's model is tr(F S) / 2 above the least possible, with S the parameters' covariance after the
    answers and F Fisher's information averaged over the boundary faces (``expected_gain``). Of n random faces the information
    is n times the mean. It is what the models expect, not a measurement: nobody was drawn to see random faces for comparison.
    """
    counted = ratings[~ratings["rater"].isin(list(excluded))]
    rows = []
    for rater, given in counted.groupby("rater", sort=True):
        shown, answered = read_person(group, given)
        if len(shown) >= FEWEST_ANSWERS:
            predicted = group.predict(str(rater))
            person = fit_person(predicted[shown], answered, group.prior)
            rows.append({"rater": str(rater), "n": len(shown), "needed": _count_random(person, predicted, shown)})
    table = pd.DataFrame(rows, columns=["rater", "n", "needed"])
    table["share"] = table["n"] / table["needed"]
    return ChoiceBenefit(
        basis=Basis(len(group.faces), len(table), int(table["n"].sum()), name_sources(counted["source"])),
        interval="95 %, bootstrap over people",
        note="Expected by the models of these people, not measured. Those whose faces came at random, before the group was known, "
        "count too.",
        share=bootstrap_estimate(table["share"].to_numpy(np.float64), np.mean),
        table=table,
    )


def _count_random(person: PersonPosterior, predicted: Array, shown: IndexArray) -> float:
    """Answers to random faces after which a person would be known as well as after those to the faces shown."""
    roots = information_roots(person.mode, predicted)
    informations = roots.transpose(0, 2, 1) @ roots  # (N, P, P)
    mean, precision = informations.mean(axis=0), np.diag(person.prior.deviation**-2.0)
    wanted = informations[find_torn(predicted)].mean(axis=0)

    def expected_loss(information: Array) -> float:
        return float(np.trace(wanted @ np.linalg.inv(precision + information)))

    aim, low, high = expected_loss(informations[shown].sum(axis=0)), 0.0, 20.0 * len(shown)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_loss(middle * mean) > aim else (low, middle)
    return high

"""Load everything that an analysis of one study rests on: answers, stimuli, and what models say of the same images.

``load_study_data`` reads a study of the store with its sample sets, ``build_study_data`` takes what is at hand already,
``build_set_data`` gives a sample set without any answers the same form. ``group_raters`` and ``select_raters`` divide the raters
of one study. Tables are never changed in place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.chains import FacesMadeByPeople
from core.analysis.encode import list_recognisers
from core.analysis.estimate import SOURCE_NAMES
from core.analysis.identity_tables import load_published_thresholds
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling.configuration import NO_GENERATOR, IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import (
    CLASSIFIER_VALUES,
    EMOTION_COLUMNS,
    PAIR_COLUMNS,
    SAMPLE_COLUMNS,
    load_latents,
    load_tables,
    make_empty_pairs,
    make_table,
    set_column_types,
)
from core.sampling.stored.population import load_thresholds
from core.studies.exclusions import ExclusionRules, Exclusions, apply_exclusion_rules
from core.studies.importing.published import MEAN_COLUMNS, PUBLISHED_KEY, published_means
from core.studies.library import Library
from core.studies.planning import list_stimuli, make_emotion_plan, make_identity_plan
from core.studies.ratings import RATINGS, Task, type_columns
from core.studies.study import NAME_LENGTH, Kind, Rater, Stimulus, Study

if TYPE_CHECKING:
    from core.studies.store import Store

Rules = ExclusionRules | Literal["planned"] | None
"""By which rules raters are left out: given ones, all with the limits that the study was planned with, or none."""


@dataclass(frozen=True, eq=False)
class StudyData:
    """All that an analysis of one study rests on. Tables are never changed in place.

    ratings: all answers, typed as RATINGS, those of excluded raters too: functions of ``core.analysis`` take ``excluded``. pairs
    (identity; else empty): PAIR_COLUMNS with distance_ and accepted_ columns and search_distance (what an optimized sample reached
    by the recogniser of its search), of the study's stimuli, each once; of answers that were imported without a sample set what is
    known of each pair. samples: the images of the study's stimuli; of an emotion study the rows that were asked, EMOTION_COLUMNS
    with the judges' columns. sets: ids of the library; generators: that of each set; where: sample_id -> the set that holds its
    picture, of bases too.
    thresholds: recogniser -> its default. classifiers: of an emotion study, the guiding one first. made: sets whose faces people
    made -> how.
    """

    study: Study
    stimuli: tuple[Stimulus, ...]
    raters: tuple[Rater, ...]
    ratings: pd.DataFrame
    pairs: pd.DataFrame
    samples: pd.DataFrame
    sets: tuple[str, ...]
    generators: Mapping[str, str]
    where: Mapping[str, str]
    exclusions: Exclusions
    generator: str  # "" where no sample set is known, and of own pictures alone
    latent_dim: int  # 0 where there is no generator
    thresholds: Mapping[str, float]
    steerer: str  # "" for identity
    classifiers: tuple[str, ...]
    notes: tuple[str, ...]  # sentences on what could not be had
    made: Mapping[str, FacesMadeByPeople] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """What was shown: pairs of faces (identity) or single faces (emotion)."""
        return self.study.plan.kind

    @property
    def main_task(self) -> Task:
        """The task that the study's rankings and figures are about first."""
        return self.study.plan.main_task

    @property
    def shown(self) -> pd.DataFrame:
        """A row a stimulus that checks no attention, whatever is shown, with the column ``stimulus``."""
        if self.kind == "emotion":
            return self.asked.assign(stimulus=self.asked["sample_id"])
        checks = [stimulus.stimulus for stimulus in self.stimuli if stimulus.is_sentinel]
        asked = self.pairs[~self.pairs["pair_id"].isin(checks)].reset_index(drop=True)
        return asked.assign(stimulus=asked["pair_id"])

    @property
    def own_pictures(self) -> bool:
        """Whether some pictures were brought along: no generator made them, and they may show real people."""
        return NO_GENERATOR in self.generators.values()

    @property
    def excluded(self) -> Mapping[str, tuple[str, ...]]:
        """Raters whose answers do not count -> why."""
        return self.exclusions.reasons

    @property
    def source(self) -> str:
        """Where the answers come from, as results name it: people, simulated, models or published."""
        return "published" if self.study.origin == "published" and self.study.source == "human" else SOURCE_NAMES[self.study.source]

    @property
    def published(self) -> pd.DataFrame:
        """Means of a publication, a row a stimulus (``published_means``); empty where there are none."""
        return published_means(self.stimuli)

    @property
    def imported_means(self) -> pd.DataFrame | None:
        """Imported means of the pairs by pair_id, where there are no single answers: similarity, identity, people; else None."""
        if len(self.ratings) or self.kind != "identity" or self.published.empty:
            return None
        return self.published.set_index("stimulus")[["similarity", "identity", "people"]]

    @property
    def recognisers(self) -> list[str]:
        """Those that judged the pairs."""
        return list_recognisers(self.pairs)

    @property
    def asked(self) -> pd.DataFrame:
        """The samples without those that check attention."""
        checks = [stimulus.stimulus for stimulus in self.stimuli if stimulus.is_sentinel]
        return self.samples[~self.samples["sample_id"].isin(checks)].reset_index(drop=True)

    @property
    def counted(self) -> pd.DataFrame:
        """The answers of those who are not excluded."""
        return self.exclusions.filter(self.ratings)


def load_study_data(store: Store, library: Library, name: str, *, rules: Rules = "planned") -> StudyData:
    """A study of the store by its name, with its sample sets. rules: by which raters are left out.

    Raises LiminalError where there is no such study; a set that the library lacks is a note.
    """
    return build_study_data(store.study(name), store.stimuli(name), store.raters(name), store.ratings(name), library, rules=rules)


def build_study_data(
    study: Study,
    stimuli: Sequence[Stimulus],
    raters: Sequence[Rater],
    ratings: pd.DataFrame,
    library: Library,
    *,
    rules: Rules = "planned",
    sets: Sequence[SetTables] | None = None,
) -> StudyData:
    """The same from tables that are loaded already. sets: taken instead of the study's own; of the same kind."""
    nobody = Exclusions(ExclusionRules(), tuple(sorted(ratings["rater"].unique())))
    chosen = ExclusionRules.of_plan(study.plan) if rules == "planned" else rules
    exclusions = nobody if chosen is None else apply_exclusion_rules(ratings, stimuli, chosen)
    sets, notes = _load_sets(study, library) if sets is None else (list(sets), [])
    tables = _build_identity_tables(stimuli, sets) if study.plan.kind == "identity" else _build_emotion_tables(stimuli, sets)
    named = dict.fromkeys(tables.configuration.generator for tables in sets)
    generators = [name for name in named if name != NO_GENERATOR]
    if len(generators) > 1:
        notes.append(f"The faces come from several generators ({', '.join(generators)}); latents are shown of the first one only.")
    return StudyData(
        study=study,
        stimuli=tuple(stimuli),
        raters=tuple(raters),
        ratings=ratings,
        pairs=tables.pairs,
        samples=tables.samples,
        sets=tuple(tables.set_id for tables in sets),
        generators={tables.set_id: tables.configuration.generator for tables in sets},
        where=_locate_stimuli(stimuli, sets),
        exclusions=exclusions,
        generator=generators[0] if generators else "",
        latent_dim=next((tables.latent_dim for tables in sets if tables.latent_dim), 0),
        thresholds=_collect_thresholds(list_recognisers(tables.pairs), sets),
        steerer=tables.steerer,
        classifiers=tables.classifiers,
        notes=tuple(notes),
        made={tables.set_id: tables.made for tables in sets if tables.made is not None},
    )


@dataclass(frozen=True, eq=False)
class SetTables:
    """A sample set without its pictures and latents."""

    set_id: str
    configuration: IdentityConfiguration | EmotionConfiguration
    samples: pd.DataFrame
    pairs: pd.DataFrame
    thresholds: Mapping[str, float]
    latent_dim: int
    made: FacesMadeByPeople | None = None

    @classmethod
    def load(cls, library: Library, set_id: str) -> SetTables:
        """Raises LiminalError where the library has no such set."""
        folder = library.folder_of(set_id)
        configuration, samples, pairs, manifest = load_tables(folder)
        latents = load_latents(folder)
        width = len(next(iter(latents.values()))) if latents else 0
        made = FacesMadeByPeople.from_manifest(manifest)
        return cls(set_id, configuration, samples, pairs, dict(manifest.get("thresholds", {})), width, made)


@dataclass(frozen=True, eq=False)
class _StudyTables:
    pairs: pd.DataFrame
    samples: pd.DataFrame
    steerer: str = ""
    classifiers: tuple[str, ...] = ()


def collect_latents(library: Library, set_ids: Iterable[str], sample_ids: Sequence[str]) -> NDArray[np.float32]:
    """Latents of samples (N, latent_dim), NaN rows for those that no set holds. Raises LiminalError where a set cannot be read."""
    known: dict[str, NDArray[np.float32]] = {}
    for set_id in set_ids:
        if library.data_sets.has(set_id):  # only what is asked for is read of a large one
            data = library.data_sets.open(set_id)
            places = {name: position for name in sample_ids if (position := data.find_row(name)) is not None}
            known |= dict(zip(places, data.latents(list(places.values())), strict=True))
            continue
        known |= load_latents(library.folder_of(set_id))
    width = max((len(latent) for latent in known.values()), default=0)
    missing = np.full(width, np.nan, np.float32)
    rows = [known.get(name, missing) for name in sample_ids]
    return np.stack([row if len(row) == width else missing for row in rows]) if rows else np.empty((0, width), np.float32)


def relabel_guiding_classifier(samples: pd.DataFrame, steerer: str, wanted: str) -> pd.DataFrame:
    """Samples of an emotion set with the columns that they would have, had ``wanted`` been the steerer.

    The steerer's columns carry no name: sets that were steered differently cannot be put together as they are.
    """
    if steerer == wanted:
        return samples
    names = {f"{kind}_{emotion}": f"{kind}_{steerer}_{emotion}" for kind in CLASSIFIER_VALUES for emotion in EMOTIONS}
    names |= {f"{kind}_{wanted}_{emotion}": f"{kind}_{emotion}" for kind in CLASSIFIER_VALUES for emotion in EMOTIONS}
    names |= {"passed_filter": f"passed_{steerer}", f"passed_{wanted}": "passed_filter"}
    return samples.rename(columns=names)


def _load_sets(study: Study, library: Library) -> tuple[list[SetTables], list[str]]:
    sets, notes = [], []
    for set_id in dict.fromkeys(study.sample_sets):
        try:
            tables = SetTables.load(library, set_id)
        except LiminalError as error:
            notes.append(str(error))
            continue
        if ("identity" if isinstance(tables.configuration, IdentityConfiguration) else "emotion") == study.plan.kind:
            sets.append(tables)
    return sets, notes


def _build_identity_tables(stimuli: Sequence[Stimulus], sets: Sequence[SetTables]) -> _StudyTables:
    pair_ids = pd.Index([stimulus.stimulus for stimulus in stimuli])
    parts = [_add_search_distance(tables)[_is_known(tables.pairs["pair_id"], pair_ids)] for tables in sets]
    known = pd.concat(parts).drop_duplicates("pair_id") if parts else make_empty_pairs()
    present = set(known["pair_id"])
    rest = [_build_pair_row(stimulus) for stimulus in stimuli if stimulus.stimulus not in present]
    if rest:
        known = pd.concat([known, make_table(rest, PAIR_COLUMNS)]) if len(known) else make_table(rest, PAIR_COLUMNS)
    images = pd.Index(list({image for stimulus in stimuli for image in stimulus.images}))
    samples = [tables.samples[_is_known(tables.samples["sample_id"], images)] for tables in sets]
    joined = pd.concat(samples).drop_duplicates("sample_id").reset_index(drop=True) if samples else make_table([], SAMPLE_COLUMNS)
    return _StudyTables(set_column_types(known, PAIR_COLUMNS), joined)


def _add_search_distance(tables: SetTables) -> pd.DataFrame:
    """The pairs with what searches reached, by the recogniser that they went by; NaN for other samples."""
    column = f"distance_{tables.configuration.recogniser}"
    pairs = tables.pairs
    return pairs.assign(search_distance=pairs[column].where(pairs["sample_type"] == "optimized") if column in pairs else np.nan)


def _is_known(names: pd.Series, known: pd.Index) -> NDArray[np.bool_]:
    """Which names are among the known ones; ``isin`` is slow on strings."""
    return np.asarray(known.get_indexer(pd.Index(names)) >= 0)


def _build_pair_row(stimulus: Stimulus) -> dict[str, object]:
    """A row of the table of pairs from what the study itself knows."""
    details = stimulus.details
    values = details.get(PUBLISHED_KEY, {})
    step = details.get("step", values.get("step"))
    scores = {_name_score(name): value for name, value in values.items() if name not in MEAN_COLUMNS}
    distances = {name: value for name, value in scores.items() if name.startswith("distance_")}
    return {
        "pair_id": stimulus.stimulus,
        "batch": details.get("batch", 0),
        "base_id": stimulus.base_id,
        "sample_id": stimulus.images[-1] if stimulus.images else "",
        "sample_type": stimulus.sample_type,
        "step": np.nan if step is None else step,
        **dict.fromkeys(("partner_id", "direction", "strategy")),
        **{name: scores.get(name, np.nan) for name in ("lpips", "latent_distance")},
        **distances,
    }


def _name_score(column: str) -> str:
    """The column of pairs that an imported column of a model's scores means: distance_<recogniser>, lpips or latent_distance."""
    plain = column.lower()
    for name in ("lpips", "latent"):
        if name in plain:
            return "latent_distance" if name == "latent" else name
    known = next((name for name in load_published_thresholds() if name in plain), None)
    return f"distance_{known}" if known else column


def _build_emotion_tables(stimuli: Sequence[Stimulus], sets: Sequence[SetTables]) -> _StudyTables:
    sample_ids = pd.Index([stimulus.stimulus for stimulus in stimuli])
    steerer = next((tables.configuration.steerer for tables in sets if isinstance(tables.configuration, EmotionConfiguration)), "")
    classifiers: dict[str, None] = {steerer: None} if steerer else {}
    parts = []
    for tables in sets:
        if isinstance(tables.configuration, EmotionConfiguration):
            classifiers |= dict.fromkeys(tables.configuration.classifiers)
            rows = tables.samples[_is_known(tables.samples["sample_id"], sample_ids)]
            parts.append(relabel_guiding_classifier(rows, tables.configuration.steerer, steerer))
    known = pd.concat(parts).drop_duplicates("sample_id") if parts else make_table([], EMOTION_COLUMNS)
    present = set(known["sample_id"])
    rest = [
        {
            "sample_id": stimulus.stimulus,
            "base_id": stimulus.base_id,
            "sample_type": stimulus.sample_type,
            "kind": "emotion",
            "emotion1": stimulus.details.get("emotion1"),
            "emotion2": stimulus.details.get("emotion2"),
        }
        for stimulus in stimuli
        if stimulus.stimulus not in present
    ]
    if rest:
        known = pd.concat([known, pd.DataFrame(rest).assign(seed=0, image="")])
    order = pd.Series(range(len(sample_ids)), index=sample_ids)
    known = known.assign(_place=known["sample_id"].map(order)).sort_values("_place").drop(columns="_place")
    return _StudyTables(
        make_empty_pairs(),
        set_column_types(known.reindex(columns=_list_columns(known)), EMOTION_COLUMNS),
        steerer,
        tuple(classifiers),
    )


def _list_columns(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys([*EMOTION_COLUMNS, *table.columns]))


def _locate_stimuli(stimuli: Sequence[Stimulus], sets: Sequence[SetTables]) -> dict[str, str]:
    held = {str(name): tables.set_id for tables in reversed(sets) for name in tables.samples["sample_id"]}
    return {image: held[image] for stimulus in stimuli for image in (*stimulus.images, stimulus.base_id) if image in held}


def _collect_thresholds(names: Iterable[str], sets: Sequence[SetTables]) -> dict[str, float]:
    """Default thresholds that the sets were judged by, else those stored for their generator; unknown recognisers have none.

    Imported pairs without a set have the published ones.
    """
    thresholds: dict[str, float] = {}
    for name in names:
        for tables in sets:
            if name in tables.thresholds:
                thresholds[name] = float(tables.thresholds[name])
                break
        else:
            for tables in sets:
                try:
                    thresholds[name] = load_thresholds(tables.configuration.generator, name).default
                    break
                except LiminalError:
                    continue
            if name not in thresholds and not sets and name in load_published_thresholds():
                thresholds[name] = load_published_thresholds()[name]
    return thresholds


def build_set_data(library: Library, set_id: str, title: str) -> StudyData:
    """A sample set of the library as study data without answers. Raises LiminalError where the library has no such set."""
    sample_set = library.load(set_id)
    stimuli = list_stimuli(sample_set, set_id)
    plan = make_identity_plan(stimuli) if sample_set.kind == "identity" else make_emotion_plan(stimuli)
    nobody = type_columns(pd.DataFrame(columns=list(RATINGS)))
    return build_study_data(Study(title[:NAME_LENGTH], plan, sample_sets=(set_id,)), stimuli, (), nobody, library)


MIN_GROUP_SIZE = 2
"""Raters a group needs."""
MAX_GROUP_VALUES = 12
"""A fact about raters with more different values than this makes no groups, unless it is a number."""


def group_raters(study_data: StudyData) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return, by what raters can be grouped by, the groups and their raters.

    Grouped by when they came, how quick they are, whether they pass the exclusion rules, and by what they said about themselves.
    Only groups of at least ``MIN_GROUP_SIZE`` raters are returned, and only where there are two of them.
    """
    ratings = study_data.ratings
    counted = [rater for rater in study_data.exclusions.raters if rater not in study_data.excluded]
    counted_ratings = ratings[ratings["rater"].isin(counted)]
    first_seen = counted_ratings.groupby("rater")["created_at"].min().sort_values(kind="stable")
    median = counted_ratings.groupby("rater")["reaction_time_ms"].median().dropna().sort_values(kind="stable")
    groups_by_title = {
        "when they came": _split_in_halves(first_seen.index.tolist(), "came first", "came later"),
        "how quick they are": _split_in_halves(median.index.tolist(), "the quicker half", "the slower half"),
        "the rules of exclusion": {"attentive": tuple(counted), "left out by the rules": tuple(study_data.excluded)},
    }
    demographics = {rater.rater: rater.demographics for rater in study_data.raters if rater.rater in set(counted)}
    for name in dict.fromkeys(key for facts in demographics.values() for key in facts):
        values = pd.Series({rater: facts[name] for rater, facts in demographics.items() if facts.get(name) not in (None, "")})
        groups_by_title[name.replace("_", " ")] = _group_by_value(values)
    large = {
        name: {group: raters for group, raters in groups.items() if len(raters) >= MIN_GROUP_SIZE}
        for name, groups in groups_by_title.items()
    }
    return {name: groups for name, groups in large.items() if len(groups) > 1}


def select_raters(study_data: StudyData, raters: Collection[str]) -> StudyData:
    """The same study with the answers of some people, those who are left out by the rules too where they are named."""
    known = study_data.ratings["rater"].isin(list(raters))
    reasons = {rater: why for rater, why in study_data.excluded.items() if rater not in set(raters)}
    exclusions = replace(study_data.exclusions, raters=tuple(sorted(raters)), reasons=reasons)
    if not known.any():
        raise LiminalError("Nobody in this group has answered; choose another one.")
    return replace(study_data, ratings=study_data.ratings[known].reset_index(drop=True), exclusions=exclusions)


def _split_in_halves(raters: list[str], first: str, second: str) -> dict[str, tuple[str, ...]]:
    middle = len(raters) // 2
    return {first: tuple(raters[:middle]), second: tuple(raters[middle:])}


def _group_by_value(values: pd.Series[Any]) -> dict[str, tuple[str, ...]]:
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all() and numbers.nunique() > MAX_GROUP_VALUES // 2:
        middle = float(numbers.median())
        low, high = numbers[numbers <= middle], numbers[numbers > middle]
        return {f"{middle:g} or less": tuple(low.index), f"more than {middle:g}": tuple(high.index)}
    groups = values.astype(str).groupby(values.astype(str)).groups
    return {str(name): tuple(raters) for name, raters in groups.items()} if len(groups) <= MAX_GROUP_VALUES else {}

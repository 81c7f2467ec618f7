"""All that an analysis of one study rests on, in one place: its answers, what was asked, and what models say of the same images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.acceptance import recognisers
from core.analysis.results import NAMES
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import load_latents, load_tables, no_pairs
from core.sampling.tables import ANSWERS, EMOTION_SAMPLES, PAIRS, SAMPLES, frame, typed
from core.sampling.thresholds import load_thresholds
from core.studies.exclusions import Exclusions, Rules, exclusions
from core.studies.importing.published import PUBLISHED, published_answers
from core.studies.library import Library
from core.studies.store import Store
from core.studies.study import Kind, Rater, Stimulus, Study

RULES = Rules()
"""Paper B's, and what else speaks for a lack of attention."""


@dataclass(frozen=True, eq=False)
class Material:
    """What ``gather`` returns. Tables are never changed in place.

    ratings: all answers, typed as RATINGS, those of excluded raters too: functions of ``core.analysis`` take ``excluded``.
    pairs (identity; else empty): PAIRS with distance_ and accepted_ columns, of the study's stimuli, each once; of answers that
    were brought in without a sample set what is known of each pair. samples: the images of the study's stimuli, of an emotion
    study the rows that were asked, EMOTION_SAMPLES with the judges' columns. sets: ids of the library; where: sample_id -> the
    set that holds its picture, of bases too. thresholds: recogniser -> its default. classifiers: of an emotion study, the steerer
    first.
    """

    study: Study
    stimuli: tuple[Stimulus, ...]
    raters: tuple[Rater, ...]
    ratings: pd.DataFrame
    pairs: pd.DataFrame
    samples: pd.DataFrame
    sets: tuple[str, ...]
    where: Mapping[str, str]
    exclusions: Exclusions
    generator: str  # "" where no sample set is known
    latent_dim: int  # 0 where no sample set is known
    thresholds: Mapping[str, float]
    steerer: str  # "" for identity
    classifiers: tuple[str, ...]
    notes: tuple[str, ...]  # sentences on what could not be had

    @property
    def kind(self) -> Kind:
        """Which of the two questions was asked."""
        return self.study.plan.kind

    @property
    def excluded(self) -> Mapping[str, tuple[str, ...]]:
        """Raters whose answers do not count -> why."""
        return self.exclusions.reasons

    @property
    def source(self) -> str:
        """Where the answers come from, as results name it: people, simulated, models or published."""
        return "published" if self.study.published and self.study.source == "human" else NAMES[self.study.source]

    @property
    def published(self) -> pd.DataFrame:
        """Means of a publication, a row a stimulus (``published_answers``); empty where there are none."""
        return published_answers(self.stimuli)

    @property
    def recognisers(self) -> list[str]:
        """Those that judged the pairs."""
        return recognisers(self.pairs)

    @property
    def asked(self) -> pd.DataFrame:
        """The samples without those that check attention."""
        checks = [each.stimulus for each in self.stimuli if each.is_sentinel]
        return self.samples[~self.samples["sample_id"].isin(checks)].reset_index(drop=True)

    @property
    def counted(self) -> pd.DataFrame:
        """The answers of those who are not excluded."""
        return self.exclusions.of(self.ratings)


def gather(store: Store, library: Library, name: str, *, rules: Rules | None = RULES) -> Material:
    """A study of the store by its name, with its sample sets. rules: by which raters are left out; None: nobody is.

    Raises LiminalError where there is no such study; a set that the library lacks is a note.
    """
    return assemble(store.study(name), store.stimuli(name), store.raters(name), store.ratings(name), library, rules=rules)


def assemble(
    study: Study,
    stimuli: Sequence[Stimulus],
    raters: Sequence[Rater],
    ratings: pd.DataFrame,
    library: Library,
    *,
    rules: Rules | None = RULES,
    sets: Sequence[SetTables] | None = None,
) -> Material:
    """The same from what is at hand already. sets: in the place of the study's own, of the same kind."""
    nobody = Exclusions(Rules(), tuple(sorted(ratings["rater"].unique())))
    found = nobody if rules is None else exclusions(ratings, stimuli, rules)
    sets, notes = _sets(study, library) if sets is None else (list(sets), [])
    tables = _identity(stimuli, sets) if study.plan.kind == "identity" else _emotion(stimuli, sets)
    generators = list(dict.fromkeys(each.configuration.generator for each in sets))
    if len(generators) > 1:
        notes.append(f"The faces come from several generators ({', '.join(generators)}); latents are shown of the first one only.")
    return Material(
        study=study,
        stimuli=tuple(stimuli),
        raters=tuple(raters),
        ratings=ratings,
        pairs=tables.pairs,
        samples=tables.samples,
        sets=tuple(each.set_id for each in sets),
        where=_where(stimuli, sets),
        exclusions=found,
        generator=generators[0] if generators else "",
        latent_dim=sets[0].latent_dim if sets else 0,
        thresholds=_thresholds(recognisers(tables.pairs), sets),
        steerer=tables.steerer,
        classifiers=tables.classifiers,
        notes=tuple(notes),
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

    @classmethod
    def load(cls, library: Library, set_id: str) -> SetTables:
        """Raises LiminalError where the library has no such set."""
        folder = library.folder_of(set_id)
        configuration, samples, pairs, manifest = load_tables(folder)
        latents = load_latents(folder)
        width = len(next(iter(latents.values()))) if latents else 0
        return cls(set_id, configuration, samples, pairs, dict(manifest.get("thresholds", {})), width)


@dataclass(frozen=True, eq=False)
class _Tables:
    pairs: pd.DataFrame
    samples: pd.DataFrame
    steerer: str = ""
    classifiers: tuple[str, ...] = ()


def latents_of(library: Library, set_ids: Iterable[str], sample_ids: Sequence[str]) -> NDArray[np.float32]:
    """Latents of samples (N, latent_dim), NaN rows for those that no set holds. Raises LiminalError where a set cannot be read."""
    known: dict[str, NDArray[np.float32]] = {}
    for set_id in set_ids:
        if library.data_sets.has(set_id):  # only what is asked for is read of a large one
            data = library.data_sets.open(set_id)
            places = {name: place for name in sample_ids if (place := data.place_of(name)) is not None}
            known |= dict(zip(places, data.latents(list(places.values())), strict=True))
            continue
        known |= load_latents(library.folder_of(set_id))
    width = max((len(each) for each in known.values()), default=0)
    missing = np.full(width, np.nan, np.float32)
    rows = [known.get(name, missing) for name in sample_ids]
    return np.stack([row if len(row) == width else missing for row in rows]) if rows else np.empty((0, width), np.float32)


def canonical(samples: pd.DataFrame, steerer: str, wanted: str) -> pd.DataFrame:
    """Samples of an emotion set with the columns that they would have, had ``wanted`` been the steerer.

    The steerer's columns carry no name: sets that were steered differently cannot be put together as they are.
    """
    if steerer == wanted:
        return samples
    names = {f"{kind}_{emotion}": f"{kind}_{steerer}_{emotion}" for kind in ANSWERS for emotion in EMOTIONS}
    names |= {f"{kind}_{wanted}_{emotion}": f"{kind}_{emotion}" for kind in ANSWERS for emotion in EMOTIONS}
    names |= {"passed_filter": f"passed_{steerer}", f"passed_{wanted}": "passed_filter"}
    return samples.rename(columns=names)


def _sets(study: Study, library: Library) -> tuple[list[SetTables], list[str]]:
    sets, notes = [], []
    for set_id in dict.fromkeys(study.sample_sets):
        try:
            each = SetTables.load(library, set_id)
        except LiminalError as error:
            notes.append(str(error))
            continue
        if ("identity" if isinstance(each.configuration, IdentityConfiguration) else "emotion") == study.plan.kind:
            sets.append(each)
    return sets, notes


def _identity(stimuli: Sequence[Stimulus], sets: Sequence[SetTables]) -> _Tables:
    asked = pd.Index([each.stimulus for each in stimuli])
    parts = [each.pairs[_among(each.pairs["pair_id"], asked)] for each in sets]
    known = pd.concat(parts).drop_duplicates("pair_id") if parts else no_pairs()
    there = set(known["pair_id"])
    rest = [_pair(each) for each in stimuli if each.stimulus not in there]
    if rest:
        known = pd.concat([known, frame(rest, PAIRS)]) if len(known) else frame(rest, PAIRS)
    shown = pd.Index(list({image for each in stimuli for image in each.images}))
    samples = [each.samples[_among(each.samples["sample_id"], shown)] for each in sets]
    joined = pd.concat(samples).drop_duplicates("sample_id").reset_index(drop=True) if samples else frame([], SAMPLES)
    return _Tables(typed(known, PAIRS), joined)


def _among(names: pd.Series, known: pd.Index) -> NDArray[np.bool_]:
    """Which names are among the known ones; ``isin`` is slow on strings."""
    return np.asarray(known.get_indexer(pd.Index(names)) >= 0)


def _pair(stimulus: Stimulus) -> dict[str, object]:
    """A row of PAIRS from what a study itself knows."""
    details = stimulus.details
    said = details.get(PUBLISHED, {})
    step = details.get("step", said.get("step"))
    distances = {name: value for name, value in said.items() if name.startswith("distance_")}
    return {
        "pair_id": stimulus.stimulus,
        "batch": details.get("batch", 0),
        "base_id": stimulus.base_id,
        "sample_id": stimulus.images[-1] if stimulus.images else "",
        "sample_type": stimulus.sample_type,
        "step": np.nan if step is None else step,
        **dict.fromkeys(("partner_id", "direction", "strategy")),
        **dict.fromkeys(("lpips", "latent_distance"), np.nan),
        **distances,
    }


def _emotion(stimuli: Sequence[Stimulus], sets: Sequence[SetTables]) -> _Tables:
    asked = pd.Index([each.stimulus for each in stimuli])
    steerer = next((each.configuration.steerer for each in sets if isinstance(each.configuration, EmotionConfiguration)), "")
    classifiers: dict[str, None] = {steerer: None} if steerer else {}
    parts = []
    for each in sets:
        if isinstance(each.configuration, EmotionConfiguration):
            classifiers |= dict.fromkeys(each.configuration.classifiers)
            rows = each.samples[_among(each.samples["sample_id"], asked)]
            parts.append(canonical(rows, each.configuration.steerer, steerer))
    known = pd.concat(parts).drop_duplicates("sample_id") if parts else frame([], EMOTION_SAMPLES)
    there = set(known["sample_id"])
    rest = [
        {
            "sample_id": each.stimulus,
            "base_id": each.base_id,
            "sample_type": each.sample_type,
            "kind": "emotion",
            "emotion1": each.details.get("emotion1"),
            "emotion2": each.details.get("emotion2"),
        }
        for each in stimuli
        if each.stimulus not in there
    ]
    if rest:
        known = pd.concat([known, pd.DataFrame(rest).assign(seed=0, image="")])
    place = pd.Series(range(len(asked)), index=asked)
    known = known.assign(_place=known["sample_id"].map(place)).sort_values("_place").drop(columns="_place")
    return _Tables(no_pairs(), typed(known.reindex(columns=_columns(known)), EMOTION_SAMPLES), steerer, tuple(classifiers))


def _columns(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys([*EMOTION_SAMPLES, *table.columns]))


def _where(stimuli: Sequence[Stimulus], sets: Sequence[SetTables]) -> dict[str, str]:
    held = {str(name): each.set_id for each in reversed(sets) for name in each.samples["sample_id"]}
    return {image: held[image] for stimulus in stimuli for image in (*stimulus.images, stimulus.base_id) if image in held}


def _thresholds(names: Iterable[str], sets: Sequence[SetTables]) -> dict[str, float]:
    """The defaults that the sets were judged by, else those stored for their generator; unknown recognisers have none."""
    found: dict[str, float] = {}
    for name in names:
        for each in sets:
            if name in each.thresholds:
                found[name] = float(each.thresholds[name])
                break
        else:
            for each in sets:
                try:
                    found[name] = load_thresholds(each.configuration.generator, name).default
                    break
                except LiminalError:
                    continue
    return found

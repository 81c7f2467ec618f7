"""What people's chains converge to, and whether they have: means, spread and R-hat of every latent.

The first half of a chain, in sweeps, is left out (Gelman et al. 2013, Bayesian Data Analysis, 11.4). R-hat is that of Vehtari
et al. 2021 (Bayesian Analysis 16, section 4): chains split in halves, values replaced by normal scores of their ranks, the larger
of the R-hats of the values and of their distances from the median. Few draws make it large by chance; how large, is told beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.estimate import Basis, Estimate, Result, join_notes, name_sources
from core.lazy_import import lazy_import
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.sample_set import MADE_KEY, MEAN_OF_CHAINS
from core.studies.chains import ONE_PERSON, ChainDesign, ChainStudy, SliderLatent, trace_values

if TYPE_CHECKING:
    from core.sampling.emotion import chain_faces
    from core.sampling.emotion.judging import EmotionPanel
else:
    chain_faces = lazy_import("core.sampling.emotion.chain_faces")  # PyTorch

stats = lazy_import("scipy.stats")

SETTLED = 1.1
"""R-hat below which a latent counts as settled (Gelman et al. 2013); Vehtari et al. ask for 1.01, after hundreds of draws."""
LEAST_DRAWS = 4
"""Draws of a chain behind an R-hat: two in each half."""
EVEN_SPREAD = 1 / math.sqrt(12)
"""Standard deviation of choices that are even over a slider, in shares of it."""

Verdict = Literal["settled", "unsettled", "too early"]
INTERVAL = "95 % interval over chains (Student's t)"


@dataclass(frozen=True)
class LatentOutcome:
    """One latent: mean over the chains' ends with its interval, in its unit; spread: standard deviation of single draws, in shares
    of the slider; r_hat, and what it would stay below by chance in 95 of 100 cases had the chains converged."""

    latent: SliderLatent
    mean: Estimate
    spread: float
    r_hat: float
    by_chance: float

    @property
    def verdict(self) -> Verdict:
        """Settled below SETTLED, unsettled above it and above what chance does; else, and without an R-hat, it is too early."""
        if math.isfinite(self.r_hat) and self.r_hat < SETTLED:
            return "settled"
        return "unsettled" if self.r_hat > max(SETTLED, self.by_chance) else "too early"

    @property
    def minded(self) -> bool:
        """Whether people's choices are narrower than choices by chance: by a fifth at least."""
        return self.spread < 0.8 * EVEN_SPREAD

    @property
    def share(self) -> Estimate:
        """The mean in shares of the slider."""
        low, span = self.latent.low, self.latent.high - self.latent.low
        value, least, most = ((number - low) / span for number in (self.mean.value, self.mean.low, self.mean.high))
        return Estimate(value, least, most, self.mean.n)


@dataclass(frozen=True)
class ChainResult(Result):
    """chains: those that are long enough; sweeps: complete ones of each of them; ends: chain -> mean values of its second half;
    followed: steps that the same person took who had taken the one before in that chain."""

    latents: tuple[LatentOutcome, ...]
    chains: int
    sweeps: int
    ends: Mapping[int, Mapping[str, float]]
    followed: int

    @property
    def mean_values(self) -> dict[str, float]:
        """The values of the mean face."""
        return {outcome.latent.name: outcome.mean.value for outcome in self.latents}

    def count(self, verdict: Verdict) -> int:
        """Latents with that verdict."""
        return sum(outcome.verdict == verdict for outcome in self.latents)

    @property
    def says(self) -> str:
        """The outcome in one sentence."""
        settled, total = self.count("settled"), len(self.latents)
        if not self.chains:
            return "No chain has a complete sweep yet."
        if self.count("too early") == total:
            return "It is too early to say whether the chains meet: there are too few steps, or only one chain."
        if settled == total:
            return "The chains have met: from wherever they began, they came to the same face."
        return f"The chains have met in {settled} of {total} parts of the face; R-hat is below {SETTLED} there."


@dataclass(frozen=True)
class FacesMadeByPeople:
    """What a sample set keeps of the chains that its faces come from."""

    study: str
    target: str
    wording: str
    note: str
    result: ChainResult

    @property
    def aim(self) -> str:
        """What the face was to look like, in a word or as people read it."""
        return self.target or self.wording

    @property
    def source(self) -> str:
        """people or simulated, as results name it."""
        return self.result.basis.source

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> FacesMadeByPeople | None:
        """None where people did not make the set's faces."""
        values = manifest.get(MADE_KEY, {})
        if "result" not in values:
            return None
        texts = {name: str(values[name]) for name in ("study", "target", "wording", "note")}
        return cls(**texts, result=_read_result(values["result"]))


def _read_result(values: Mapping[str, Any]) -> ChainResult:
    """The inverse of ``ChainResult.to_dict``, in which numbers that are not finite are null."""
    latents = []
    for row in values["latents"]:
        value, low, high = (_read_number(row["mean"][name]) for name in ("value", "low", "high"))
        mean = Estimate(value, low, high, int(row["mean"]["n"]))
        by_chance = _read_number(row["by_chance"])
        missing = math.nan if math.isnan(by_chance) else math.inf  # chains that each stand still at a value of their own
        r_hat = missing if row["r_hat"] is None else float(row["r_hat"])
        latents.append(LatentOutcome(SliderLatent(**row["latent"]), mean, _read_number(row["spread"]), r_hat, by_chance))
    counts = {name: values[name] for name in ("interval", "note", "chains", "sweeps", "followed")}
    ends = {int(chain): dict(of) for chain, of in values["ends"].items()}
    return ChainResult(basis=Basis(**values["basis"]), latents=tuple(latents), ends=ends, **counts)


def _read_number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def measure_chains(study: ChainStudy, steps: pd.DataFrame) -> ChainResult:
    """The outcome of all steps that were taken (``ChainStore.steps``)."""
    design = study.design
    traces = {chain: trace for chain, trace in trace_values(design, steps).items() if len(trace) > 1}
    lengths = sorted(len(trace) - 1 for trace in traces.values())
    sweeps = lengths[(len(lengths) - 1) // 2] if lengths else 0  # at least half of the chains have so many
    used = {chain: trace[: sweeps + 1] for chain, trace in traces.items() if len(trace) > sweeps}
    first = sweeps // 2 + 1  # the start is no draw
    draws = np.stack([trace[first:] for trace in used.values()]) if used else np.empty((0, 0, len(design.latents)))
    outcomes = tuple(_measure_latent(latent, draws[:, :, place]) for place, latent in enumerate(design.latents))
    names = [latent.name for latent in design.latents]
    ends = {
        chain: dict(zip(names, (float(value) for value in trace[first:].mean(axis=0)), strict=True))
        for chain, trace in used.items()
    }
    people = int(steps["person"].nunique())
    same = steps["person"].eq(steps["person"].shift()) & steps["chain"].eq(steps["chain"].shift())
    followed = int(same.sum())
    return ChainResult(
        basis=Basis(len(used) * sweeps, people, len(steps), name_sources([study.source])),
        interval=INTERVAL,
        note=join_notes(*_list_notes(design, people, len(used), len(traces), sweeps, followed, len(steps))),
        latents=outcomes,
        chains=len(used),
        sweeps=sweeps,
        ends=ends,
        followed=followed,
    )


def _list_notes(design: ChainDesign, people: int, used: int, begun: int, sweeps: int, followed: int, steps: int) -> list[str]:
    notes = [ONE_PERSON] if people == 1 else []
    if used == 1:
        notes.append("There is one chain alone: nobody can tell whether another one would have come to the same face.")
    if used < begun:
        notes.append(f"{begun - used} of {begun} chains are shorter than {sweeps} sweeps and left out.")
    if design.passed_on and followed and people > 1:
        notes.append(f"{followed:,} of {steps:,} steps followed one of the same person, because nobody else was there.")
    return notes


def _measure_latent(latent: SliderLatent, draws: NDArray[np.float64]) -> LatentOutcome:
    """draws (chains, draws a chain)."""
    if not draws.size:
        return LatentOutcome(latent, Estimate(math.nan, math.nan, math.nan, 0), math.nan, math.nan, math.nan)
    mean = _estimate_mean(draws.mean(axis=1), latent.low, latent.high)
    spread = float(draws.std(ddof=1) / (latent.high - latent.low)) if draws.size > 1 else math.nan
    return LatentOutcome(latent, mean, spread, measure_r_hat(draws), r_hat_by_chance(*draws.shape))


def _estimate_mean(values: NDArray[np.float64], low: float, high: float) -> Estimate:
    """The mean of one value a chain, with Student's t from three chains on; the interval is cut at the ends low and high."""
    chains = len(values)
    value = float(values.mean()) if chains else math.nan
    if chains < 3:
        return Estimate(value, math.nan, math.nan, chains)
    half = float(stats.t.ppf(0.975, chains - 1) * values.std(ddof=1) / math.sqrt(chains))
    return Estimate(value, max(low, value - half), min(high, value + half), chains)


def measure_r_hat(draws: NDArray[np.float64]) -> float:
    """Rank-normalised split R-hat of draws (chains, draws a chain); NaN for one chain and for fewer than LEAST_DRAWS draws.

    1 where all draws are equal, infinite where each chain stands still at a value of its own.
    """
    if len(draws) < 2 or draws.shape[1] < LEAST_DRAWS:
        return math.nan
    halves = _split(draws)
    folded = np.abs(halves - np.median(halves))
    return max(_compare_variances(_normalise_ranks(halves)), _compare_variances(_normalise_ranks(folded)))


def _split(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """(chains, n) -> (2 chains, n // 2); of an odd number the one in the middle is left out."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def _normalise_ranks(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal scores of the ranks among all draws (Vehtari et al. 2021, equation 14)."""
    ranks = stats.rankdata(draws, method="average").reshape(draws.shape)
    scores: NDArray[np.float64] = stats.norm.ppf((ranks - 3 / 8) / (draws.size + 1 / 4))
    return scores


def _compare_variances(draws: NDArray[np.float64]) -> float:
    """R-hat of draws (chains, n) as they are (Vehtari et al. 2021, equations 1 to 4)."""
    count = draws.shape[1]
    within = float(draws.var(axis=1, ddof=1).mean())
    between = float(count * draws.mean(axis=1).var(ddof=1))
    if within == 0.0:
        return 1.0 if between == 0.0 else math.inf
    return math.sqrt((count - 1) / count + between / (count * within))


def r_hat_by_chance(chains: int, draws: int) -> float:
    """What the split R-hat of independent normal draws stays below in 95 of 100 cases; NaN where there is no R-hat.

    The variance between over that within is then F-distributed with 2 chains - 1 and 2 chains (n - 1) degrees of freedom, n the
    draws of half a chain.
    """
    if chains < 2 or draws < LEAST_DRAWS:
        return math.nan
    half = draws // 2
    ratio = float(stats.f.ppf(0.95, 2 * chains - 1, 2 * chains * (half - 1)))
    return math.sqrt((half - 1) / half + ratio / half)


@dataclass(frozen=True)
class FeelingShare:
    """What one classifier says of faces that people made, in calibrated shares of one feeling: of the mean faces, and the mean over
    the last faces of the chains. strongest: its first choice of the mean faces."""

    classifier: str
    of_mean: float
    of_chains: Estimate
    strongest: str


def name_calibrated_columns(classifier: str, steerer: str) -> list[str]:
    """The columns of a set's samples with a classifier's calibrated shares, by EMOTIONS; the guiding one's carry no name."""
    prefix = "calibrated_" if classifier == steerer else f"calibrated_{classifier}_"
    return [f"{prefix}{emotion}" for emotion in EMOTIONS]


def measure_feeling(samples: pd.DataFrame, classifiers: Sequence[str], steerer: str, feeling: str) -> list[FeelingShare]:
    """Of every classifier. samples: a set's, with chain and sweep; feeling: "" for the first classifier's first choice of the mean
    faces.

    Interval over chains (Student's t), from three on. Empty without a mean face.
    """
    means = samples[samples["chain"] == MEAN_OF_CHAINS]
    chains = samples[samples["chain"] > MEAN_OF_CHAINS].sort_values("sweep").drop_duplicates("chain", keep="last")
    shares = []
    for classifier in classifiers if len(means) else ():
        columns = name_calibrated_columns(classifier, steerer)
        of_mean = means[columns].to_numpy(np.float64).mean(axis=0)
        strongest = EMOTIONS[int(of_mean.argmax())]
        feeling = feeling or strongest
        ends = chains[columns[EMOTIONS.index(feeling)]].to_numpy(np.float64)
        shares.append(FeelingShare(classifier, float(of_mean[EMOTIONS.index(feeling)]), _estimate_mean(ends, 0.0, 1.0), strongest))
    return shares


def make_faces(
    study: ChainStudy, steps: pd.DataFrame, *, panel: EmotionPanel | None = None, progress: Progress | None = None
) -> chain_faces.ChainFaces:
    """Draw and judge the faces of all chains, and for each person that chains began with the mean face of their ends.

    Raises LiminalError before any chain has a complete sweep.
    """
    result, design = measure_chains(study, steps), study.design
    names = [latent.name for latent in design.latents]
    bases = {chain: design.base_of(chain) for chain in result.ends}
    faces = [
        chain_faces.ChainFace(MEAN_OF_CHAINS, result.sweeps, base, average_ends(result, bases, base))
        for base in dict.fromkeys(bases.values())
    ]
    faces += chain_faces.list_faces(trace_values(design, steps), names, {int(c): design.base_of(int(c)) for c in steps["chain"]})
    made_by = {
        "study": study.name,
        "target": design.target,
        "wording": design.wording,
        "source": study.source,
        "people": result.basis.raters,
        "steps": result.basis.answers,
        "latents": names,
        "note": study.note,
        "result": result.to_dict(),
    }
    return chain_faces.make_chain_faces(faces, design.generator, design.target, made_by, panel=panel, progress=progress)


def average_ends(result: ChainResult, bases: Mapping[int, str], base: str) -> dict[str, float]:
    """The mean values of the ends of those chains that began with one person."""
    ends = [values for chain, values in result.ends.items() if bases[chain] == base]
    return {name: float(np.mean([values[name] for values in ends])) for name in ends[0]}

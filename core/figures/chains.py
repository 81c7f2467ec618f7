"""Faces made by people: what the chains came to, latent by latent, and whether they have met."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from core.analysis.chains import (
    EVEN_SPREAD,
    INTERVAL,
    SETTLED,
    ChainResult,
    FacesMadeByPeople,
    FeelingShare,
    LatentOutcome,
    measure_feeling,
)
from core.figures.dots import narrow_labels, plot_dots
from core.figures.exhibit import Exhibit, ExhibitView, build_row
from core.figures.theme import Source, format_percent, join_names
from core.models import registry
from core.progress import Progress

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData

NO_PROOF = (
    "These faces are generated and move only in the ways that their generator has: they show what people look for within those, "
    "and prove nothing about faces of real people."
)
METHOD = (
    "Gibbs sampling with people (Harrison et al. 2020, NeurIPS 33): one after the other, people move one part of a face by a "
    "slider, and the next one goes on from there. Chains begin far apart and forget where they began; their first half is left out."
)
SIMULATED = "These people are simulated, with a planted aim: the figure shows that the method finds it, not what people want."


def name_latent(outcome: LatentOutcome) -> str:
    """What a slider moves, in words: its meaning, 'brows lowered .. raised', or its name."""
    return (outcome.latent.meaning or outcome.latent.name.replace("_", " ")).replace(" .. ", " to ")


def exhibit_choices(result: ChainResult) -> Exhibit:
    """Where on each slider people's chains end, with the interval over chains."""
    ranked = sorted(result.latents, key=lambda outcome: math.inf if math.isnan(outcome.spread) else outcome.spread)
    table = pd.DataFrame([
        {"name": name_latent(outcome), **build_row(outcome.share), "spread": outcome.spread, "r_hat": outcome.r_hat}
        for outcome in ranked
    ])  # fmt: skip
    who = "Simulated people" if _name_source(result) == "simulated" else "People"
    minded = [outcome for outcome in ranked if outcome.minded]
    says = (
        f"{who} agree most on one part: {name_latent(ranked[0])}."
        if len(minded) == 1
        else f"Choices of {who.lower()} are narrower than chance in {len(minded)} of {len(ranked)} parts of the face."
    )
    figure = plot_dots(
        table,
        measure="where on its slider, from one end to the other",
        says=says if result.chains else result.says,
        n=f"{result.chains:,} chains of {result.sweeps:,} sweeps, {result.basis.answers:,} steps of {_count_people(result)}",
        interval=result.interval,
        source=_name_source(result),
        share=True,
        span=(0.0, 1.0),
        nothing="No chain has a complete sweep yet.",
    )
    return Exhibit(
        "chains-choices",
        narrow_labels(figure, 34),
        table,
        f"{METHOD} On top: where single choices scatter least. Choices by chance scatter by {100 * EVEN_SPREAD:.0f} % of a slider.",
        _note(result),
        numbers=result,
    )


def exhibit_convergence(result: ChainResult) -> Exhibit:
    """R-hat of every latent beside its limits."""
    known = sorted(result.latents, key=lambda outcome: -outcome.r_hat if math.isfinite(outcome.r_hat) else 0.0)
    table = pd.DataFrame([
        {
            "name": name_latent(outcome),
            "value": outcome.r_hat if math.isfinite(outcome.r_hat) else math.nan,
            "low": math.nan,
            "high": math.nan,
            "n": result.chains,
            "verdict": outcome.verdict,
        }
        for outcome in known
    ])  # fmt: skip
    figure = plot_dots(
        table,
        measure="R-hat: 1 where the chains have met",
        says=result.says,
        n=f"{2 * result.chains:,} halves of chains",
        source=_name_source(result),
        reference=(SETTLED, f"settled below {SETTLED:g}"),
        nothing="R-hat needs two chains with eight complete sweeps; these are not there yet.",
    )
    chance = next((outcome.by_chance for outcome in known if math.isfinite(outcome.by_chance)), math.nan)
    by_chance = f" With so few draws chance alone makes it up to {chance:.2f}." if chance > SETTLED else ""
    return Exhibit(
        "chains-convergence",
        narrow_labels(figure, 34),
        table,
        "R-hat compares the scatter between chains with that within them: rank-normalised, of split chains, the larger of the "
        "plain and the folded one (Vehtari et al. 2021, Bayesian Analysis 16). Below 1.1 counts as settled here (Gelman et al. "
        f"2013); Vehtari et al. ask for 1.01 after hundreds of draws.{by_chance}",
        _note(result),
        numbers=result,
    )


def exhibit_made_faces(study_data: StudyData, _view: ExhibitView, _progress: Progress) -> list[Exhibit]:
    """Of every set of faces that people made: what each network says of them, what people chose, whether the chains met."""
    exhibits: list[Exhibit] = []
    for number, (set_id, made) in enumerate(study_data.made.items()):
        here = study_data.samples["sample_id"].map(study_data.where.get) == set_id
        of_set = [exhibit_choices(made.result), exhibit_convergence(made.result)]
        if shares := measure_feeling(study_data.samples[here], study_data.classifiers, study_data.steerer, made.target):
            of_set.insert(0, exhibit_feeling(shares, made))
        suffix = f"-{number + 1}" if number else ""
        exhibits += [replace(exhibit, key=exhibit.key + suffix) for exhibit in of_set]
    return exhibits


def exhibit_feeling(shares: list[FeelingShare], made: FacesMadeByPeople) -> Exhibit:
    """How much of the feeling aimed at each network sees in the mean face, and in the faces at the ends of the chains."""
    feeling = made.target or shares[0].strongest
    rows = []
    for share in shares:
        title = registry.title(share.classifier)
        rows.append({"name": title, "series": "mean face", "value": share.of_mean, "low": math.nan, "high": math.nan, "n": 1})
        rows.append({"name": title, "series": "last faces of the chains, mean", **build_row(share.of_chains)})
        rows[-2] |= {"strongest": share.strongest}
        rows[-1] |= {"strongest": share.strongest}
    agree = [registry.title(share.classifier) for share in shares if share.strongest == feeling]
    first = f"{join_names(agree)} see{'s' * (len(agree) == 1)} {feeling} first" if agree else f"No network sees {feeling} first"
    strongest = max(shares, key=lambda share: share.of_mean)
    figure = plot_dots(
        pd.DataFrame(rows),
        measure=f"{feeling}, calibrated share",
        says=f"{first} in the mean face; the most that one sees is {format_percent(strongest.of_mean, 0)}.",
        n=f"{made.result.chains:,} chains of {_count_people(made.result)}",
        interval=f"{INTERVAL}; the mean face is one picture and has none",
        source=f"{_name_source(made.result)} and model",
        share=True,
        span=(0.0, 1.0),
    )
    aim = "the feeling aimed at" if made.target else f"what {registry.title(shares[0].classifier)} sees most"
    return Exhibit(
        "chains-feeling",
        figure,
        pd.DataFrame(rows),
        f"The mean face has the mean values of the chains' ends; it need not be a face that anybody chose. Shown is {feeling}, "
        f"{aim}, in shares that are calibrated. Column 'strongest': what a network sees first in the mean face.",
        _note(made.result),
        numbers=shares,
    )


def _count_people(result: ChainResult) -> str:
    simulated = "simulated " if result.basis.source == "simulated" else ""
    return f"{result.basis.raters:,} {simulated}{'person' if result.basis.raters == 1 else 'people'}"


def _name_source(result: ChainResult) -> Source:
    return "simulated" if result.basis.source == "simulated" else "human"


def _note(result: ChainResult) -> str:
    return " ".join(part for part in (SIMULATED if _name_source(result) == "simulated" else "", result.note, NO_PROOF) if part)

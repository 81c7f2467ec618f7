"""An R script that fits mixed models to an answer table (``core.analysis.answer_table``) and compares them with the page's.

The similarity model is that of ``core.analysis.mixed``, fitted by lme4 (Bates, Mächler, Bolker and Walker 2015). Where the two
differ: both maximise the same restricted likelihood, the page with Nelder-Mead over the ratios of the standard deviations (0 to
50), lme4 with its own optimiser, so that numbers agree to the optimisers' tolerance and not to the last digit. The page's
intervals are estimate +- 1.96 standard errors, which is ``confint(fit, method = "Wald")``; lme4's default are profile intervals.
The page's p that all slopes are equal is a Wald test; ``anova`` of two lmer fits compares likelihoods after fitting by ML anew.
The second model of the script, of identity or choice, is a generalized one, which the page does not show. Of a question of the
study's own it prints the page's means of ratings or shares of labels, and fits them by type of sample: ratings by a linear model,
each label against all others by a generalized one.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from core.analysis.encode import list_recognisers
from core.analysis.identity_tables import order_sample_types
from core.analysis.mixed import MixedModel, fit_mixed_model

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData

TEMPLATE = "mixed_models.R"
"""The part of the script that is the same for every study, beside this file."""
AGREEMENT = 0.01
"""The page and lme4 agree where no coefficient differs by more than this share of its standard error."""


def name_column(*parts: str) -> str:
    """Join parts to a name of letters, digits and underscores, which R reads without quotes."""
    return re.sub(r"\W", "_", "_".join(parts), flags=re.ASCII)


def choose_recogniser(study_data: StudyData) -> str:
    """The recogniser whose distance the page shows first; "" where none judged the pairs."""
    known = list_recognisers(study_data.pairs)
    return next((name for name in known if name in study_data.thresholds), known[0] if known else "")


def make_r_script(study_data: StudyData, table_name: str, *, recogniser: str = "") -> str:
    """The script for the answer table of that file name, which lies beside it. recogniser: default is the page's first."""
    name = recogniser or choose_recogniser(study_data)
    model = fit_mixed_model(study_data.pairs, study_data.ratings, name, excluded=study_data.excluded) if name else None
    settings = {
        "TABLE": json.dumps(table_name, ensure_ascii=False),
        "DISTANCE": json.dumps(name_column("distance", name) if name else ""),
        "GUIDING": json.dumps(name_column("p", study_data.steerer) if study_data.steerer else ""),
        "TYPES": f"c({', '.join(map(json.dumps, order_sample_types(study_data.pairs['sample_type'])))})",
        "AGREEMENT": f"{AGREEMENT:g}",
        "PAGE": _write_page(model),
        "PAGE_NOTE": json.dumps(model.note if model else "", ensure_ascii=False),
    }
    title = study_data.study.name
    marked = "# SIMULATED: the answers come from simulated observers and not from people.\n" * (study_data.source == "simulated")
    lines = "\n".join(f"{key} <- {value}" for key, value in settings.items())
    head = f"# Mixed models of the study '{title}'. Run it with: Rscript {table_name.rpartition('.')[0]}.R\n{marked}"
    return f"{head}\n{lines}\n\n{files(__package__).joinpath(TEMPLATE).read_text(encoding='utf-8')}"


def _write_page(model: MixedModel | None) -> str:
    """The page's coefficients as an R data frame."""
    rows: list[tuple[str, float, float]] = []
    for effect in model.effects if model else ():
        for kind, value in (("level", effect.level), ("slope", effect.slope)):
            rows.append((f"{kind} {effect.sample_type}", value.value, (value.high - value.low) / 2))
    deviations = (model.rater_deviation, model.pair_deviation, model.residual_deviation) if model and model.effects else ()
    names = ", ".join(json.dumps(name) for name, _, _ in rows)
    values, halves = (", ".join(f"{row[place]:.10g}" for row in rows) for place in (1, 2))
    return (
        f"list(\n  coefficient = c({names}),\n  estimate = c({values}),\n  half_width = c({halves}),\n"
        f"  deviations = c({', '.join(f'{value:.10g}' for value in deviations)})\n)"
    )

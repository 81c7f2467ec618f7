"""The data card of a bundle: what it holds, how it came about, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from core.studies.study import Rater, Stimulus, Study

COLUMNS = {
    "rating_id": "identifier of the answer, a UUID",
    "study": "name of the study",
    "rater": "who answered: a name that the study gave, not the person's",
    "session": "one sitting of a rater",
    "trial": "place in the rater's order, from 0",
    "stimulus": "what was shown: a pair or one face; see stimuli.parquet",
    "task": "similarity, identity or emotion",
    "value": "0 to 100 for similarity; 1 (same person) or 0 for identity; the emotion's name",
    "reaction_time_ms": "from the picture to the answer, in milliseconds; empty where it was not measured",
    "is_sentinel": "whether the trial checked attention: its right answer is known",
    "source": "human, simulated or model",
    "presented": "JSON: asked and achieved durations, refresh rate, dropped frames, input device",
    "created_at": "when the answer was given, UTC; 1970-01-01 where that is not known",
}
"""What the columns of ratings.parquet hold."""


def origin(study: Study, ratings: pd.DataFrame) -> str:
    """One sentence on where the answers come from; simulated ones are never passed over."""
    sources = ratings["source"].value_counts()
    simulated, models = int(sources.get("simulated", 0)), int(sources.get("model", 0))
    if study.source == "simulated" or simulated:
        part = "All" if simulated == len(ratings) else f"{simulated:,} of {len(ratings):,}"
        return f"**Simulated**: {part} answers come from simulated observers and not from people."
    if models:
        return f"{models:,} of {len(ratings):,} answers come from models and not from people."
    if study.published:
        return "The answers were brought in from elsewhere; nobody was asked by this program."
    return "The answers were given by people who took part through this program."


def data_card(
    study: Study,
    stimuli: Sequence[Stimulus],
    raters: Sequence[Rater],
    ratings: pd.DataFrame,
    missing: Sequence[str],
    demographics: bool,
) -> str:
    """Markdown for README.md."""
    plan = study.plan
    asked = "whether two faces show one person" if plan.kind == "identity" else "which of six emotions a face shows"
    people = ratings["rater"].nunique()
    about = sum(each.is_sentinel for each in stimuli)
    lines = [
        f"# {plan.title or study.name}",
        "",
        f"Study '{study.name}': {asked}. {origin(study, ratings)}",
        "",
        f"- Answers: {len(ratings):,} from {people:,} {'rater' if people == 1 else 'raters'}",
        f"- Asked about: {len(stimuli):,} stimuli, of which {about:,} check attention",
        f"- Begun: {study.created_at.date().isoformat()}",
    ]
    asked_here = study.source == "human" and not study.published
    if asked_here and plan.kind == "emotion":
        lines.append(f"- Shown for {plan.image_ms} ms after a cross of {plan.fixation_ms} ms, good to one frame of a browser")
    if study.note:
        lines += ["", "## Note", "", study.note]
    if study.sample_sets:
        lines += [
            "",
            "## How the pictures came about",
            "",
            "The faces were made by a computer and show nobody who lives; how each was made, by which models and with which seeds "
            "stands in sets/*/manifest.json.",
        ]
    if missing:
        lines.append(f"Not in this file are the pictures of: {', '.join(missing)}.")
    if asked_here:
        lines += [
            "",
            "## Privacy",
            "",
            "People took part under names that the study gave them. The codes by which they come back are not in this file. "
            f"What they said about themselves is {'in raters.parquet' if demographics else 'not in this file'}.",
            "What people agreed to:",
            "",
            *(f"> {line}" for line in plan.consent.splitlines()),
        ]
    lines += [
        "",
        "## Use",
        "",
        "Made to compare models with people. It does not show how safe a device is, and must not be used to identify people or to "
        "infer what somebody feels. The licence of the answers is the study owner's to give; the pictures follow their models'.",
        "",
        "## Columns of ratings.parquet",
        "",
        *(f"- `{name}`: {meaning}" for name, meaning in COLUMNS.items()),
        "",
        "hashes.json holds the SHA-256 of every other file. Bring the file back with `python -m core study import FILE`.",
        "",
    ]
    return "\n".join(lines)

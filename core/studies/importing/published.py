"""Import tables of means: a row a pair, as a publication prints them.

A mean over n people does not determine the n answers, and answers generated to fit it would be invented. Such a table therefore
becomes a study that is marked as published and has no single answers: each pair is a stimulus, and its means, the number of people
behind them and the models' distances stand in the stimulus's details under "published". ``published_means`` gives them back as
a table: they are shown as imported means, with intervals over pairs alone. No agreement or model is computed from them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.studies.importing.mapping import ColumnMapping, parse_numbers
from core.studies.importing.reading import ImportedTable, Problems
from core.studies.ratings import name_or_none
from core.studies.study import Stimulus

PUBLISHED_KEY = "published"
"""The key in a stimulus's details."""

MEAN_COLUMNS = ("stimulus", "sample_type", "step", "base_id", "similarity", "identity", "people")


def published_means(stimuli: Iterable[Stimulus]) -> pd.DataFrame:
    """MEAN_COLUMNS and the columns that were kept with them, a row a stimulus that has published means.

    similarity: mean, 0 to 100; identity: share of people who said it is one person, 0 to 1; people: how many were asked; step: as
    published; NaN where the publication does not say.
    """
    rows = [
        {
            "stimulus": stimulus.stimulus,
            "sample_type": stimulus.sample_type,
            "base_id": stimulus.base_id,
            **stimulus.details[PUBLISHED_KEY],
        }
        for stimulus in stimuli
        if PUBLISHED_KEY in stimulus.details
    ]
    frame = pd.DataFrame(rows)
    for name in MEAN_COLUMNS:
        if name not in frame:
            frame[name] = "" if name in ("stimulus", "sample_type", "base_id") else np.nan
    model_columns = [name for name in frame.columns if name not in MEAN_COLUMNS]
    numeric = ("step", "similarity", "identity", "people")
    return frame[[*MEAN_COLUMNS, *model_columns]].astype(dict.fromkeys(numeric, "float64"))


def read_published_pairs(imported: ImportedTable, mapping: ColumnMapping, problems: Problems) -> list[Stimulus]:
    """Rows of a wide table -> stimuli with their published means; invalid rows are added to ``problems``."""
    frame, lines = imported.frame, imported.lines
    means: dict[str, NDArray[np.float64]] = {}

    def refuse(rows: NDArray[np.bool_], reason: str) -> None:
        problems.add(lines[rows], lambda _: reason)

    bounds = {"similarity": (0.0, 100.0), "identity": (0.0, 1.0), "people": (1.0, np.inf), "step": (-np.inf, np.inf)}
    for target, (low, high) in bounds.items():
        if target not in mapping.fields:
            continue
        field = mapping.fields[target]
        column = _read_column(frame, field.column, field.constant)
        values, odd = parse_numbers(column, imported.decimal_comma)
        if target == "identity" and column.str.contains("%", regex=False).any():
            values, odd = parse_numbers(column.str.replace("%", "", regex=False), imported.decimal_comma)
            values = values / 100
        if field.scale is not None:
            first, last = field.scale
            values = (values - first) / (last - first) * (100.0 if target == "similarity" else 1.0)
        refuse(odd, f"its {_describe_target(target)} is no number")
        refuse((values < low) | (values > high), f"its {_describe_target(target)} lies outside {low:g} to {high:g}")
        means[target] = values
    for column_name in mapping.kept:
        values, odd = parse_numbers(frame[column_name], imported.decimal_comma)
        refuse(odd, f"its '{column_name}' is no number")
        means[column_name] = values
    texts = {
        target: _read_column(frame, mapping.fields[target].column, mapping.fields[target].constant).fillna("").str.strip().tolist()
        for target in ("stimulus", "base", "sample", "sample_type")
        if target in mapping.fields
    }
    answered = np.zeros(len(frame), dtype=bool)
    for target in ("similarity", "identity"):
        if target in means:
            answered |= np.isfinite(means[target])
    refuse(~answered, "it holds neither a similarity nor a share of yes")
    base, sample = (texts.get(name, [""] * len(frame)) for name in ("base", "sample"))
    pair_names = [f"{first}/{second}" if first and second else "" for first, second in zip(base, sample, strict=True)]
    names = texts.get("stimulus", pair_names)
    refuse(
        np.array([name_or_none("stimulus", name) is None for name in names], dtype=bool),
        "it does not name its pair in 1 to 200 characters",
    )
    refuse(pd.Series(names).duplicated().to_numpy(), "its pair has a row already")
    stimuli = []
    for row in np.flatnonzero(~np.isin(lines, problems.lines)):
        stimuli.append(
            Stimulus(
                stimulus=names[row],
                images=(base[row], sample[row]) if base[row] and sample[row] else (),
                sample_type=texts["sample_type"][row] if "sample_type" in texts else "",
                base_id=base[row],
                details={PUBLISHED_KEY: {key: float(values[row]) for key, values in means.items() if np.isfinite(values[row])}},
            )
        )
    return stimuli


def _read_column(frame: pd.DataFrame, column: str | None, constant: str | None) -> pd.Series:
    if column is not None:
        return frame[column]
    return pd.Series(constant, index=frame.index, dtype=pd.StringDtype(na_value=np.nan))


def _describe_target(target: str) -> str:
    return {"similarity": "similarity", "identity": "share of yes", "people": "number of people", "step": "step"}[target]

"""The JSON of jsPsych: a list of trials, lists of several people, a line a person; nested answers become own columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from core.errors import LiminalError
from core.studies.importing.problems import Problems
from core.studies.importing.reading import Imported, check_columns, check_rows

DEPTH = 4
"""Levels of nested answers that become columns; what lies deeper stays JSON in its cell."""

PERSON = "person in the file"
"""The column that says whose list of trials a row is from, where the file is made of several lists."""

WRAPPERS = ("values", "trials", "data", "results")
"""Names under which programs put the list of trials."""


def read_json(stream: BinaryIO, name: str, digest: str, encoding: str | None = None) -> Imported:
    """Trials -> Imported, a row a trial. Raises LiminalError for what is no list of trials."""
    try:
        text = stream.read().decode(encoding or "utf-8-sig")
    except LookupError:
        raise LiminalError(f"There is no encoding '{encoding}'; use for example utf-8, utf-16, cp1252 or latin-1.") from None
    except UnicodeError as error:
        raise LiminalError(f"{name} is not written in {encoding or 'UTF-8'}, as JSON is; save it again as UTF-8.") from error
    rows: list[dict[str, str]] = []
    for trial in _trials(_parsed(text, name), name):
        row: dict[str, str] = {}
        _flatten("", trial, row, 0)
        rows.append(row)
        check_rows(len(rows), name)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    check_columns(columns, name)
    frame = pd.DataFrame(rows, columns=columns).astype(pd.StringDtype(na_value=np.nan))
    lines = np.arange(1, len(frame) + 1, dtype=np.int64)
    notes = (f"Read as JSON with {len(frame):,} trials.",)
    return Imported(name, "json", frame, lines, "trial", digest, notes, Problems())


def _parsed(text: str, name: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except RecursionError:
        raise LiminalError(
            f"{name} is nested too deeply to be a list of trials; export the data of the experiment again."
        ) from None
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and lines[0].lstrip()[:1] in "[{":  # one JSON value a line: a person, or a trial
            try:
                return [json.loads(line, parse_constant=lambda _: None) for line in lines]
            except (ValueError, RecursionError):
                pass
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise LiminalError(f"{name} begins like JSON but is cut off or damaged{place}; export it again.") from error


def _trials(value: Any, name: str) -> Iterator[dict[str, Any]]:
    for _ in range(DEPTH):
        if isinstance(value, dict):
            inner = next((value[key] for key in WRAPPERS if isinstance(value.get(key), list | dict)), None)
            if inner is None:
                break
            value = inner
    if isinstance(value, list) and value and all(isinstance(each, list) for each in value):
        for person, trials in enumerate(value, start=1):
            for trial in trials:
                yield {PERSON: str(person), **_trial(trial, name)}
    elif isinstance(value, list):
        for trial in value:
            yield _trial(trial, name)
    else:
        raise LiminalError(f"{name} holds no list of trials; export the data of the experiment as JSON, as jsPsych writes it.")


def _trial(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise LiminalError(f"{name} holds a list, but not of trials; export the data of the experiment as jsPsych writes it.")
    return value


def _flatten(prefix: str, value: Any, row: dict[str, str], depth: int) -> None:
    if isinstance(value, dict) and depth < DEPTH and (value or not depth):
        for key, inner in value.items():
            _flatten(f"{prefix}.{key}" if prefix else _whole(key), inner, row, depth + 1)
    elif isinstance(value, dict | list):
        row[prefix] = json.dumps(value, sort_keys=True)
    elif isinstance(value, bool):
        row[prefix] = "true" if value else "false"
    elif isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        row[prefix] = str(int(value))
    elif value is not None:
        row[prefix] = _whole(str(value))


def _whole(text: str) -> str:
    """Half a character, which only JSON can hold, becomes a question mark."""
    return text.encode(errors="replace").decode()

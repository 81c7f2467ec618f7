"""The report of an identity set: how often each type of sample is accepted, beside the paper's Table 1."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.analysis.acceptance import AcceptanceRow, AcceptanceTable, Proportion, acceptance_table, recognisers
from core.analysis.published import published_mean, published_thresholds
from core.commands.formatting import interval, number, percent
from core.errors import LiminalError
from core.sampling.sample_set import SampleSet
from core.sampling.thresholds import load_thresholds


def show(made: SampleSet, folder: Path) -> None:
    """Print the tables of every recogniser at its default and its calibrated thresholds."""
    sections = _all_sections(made)
    configuration = made.identity
    print(
        f"{folder}: {len(made.pairs)} pairs of {len(made.base_ids())} bases, generator {configuration.generator}, "
        f"search by {configuration.strategy} against {configuration.recogniser}, seed {configuration.seed}"
    )
    _print_reached(made)
    for title, table in sections:
        print(f"\n{table.recogniser}, accepted below {table.threshold:.3f} ({title})")
        _print_table(table)
    print(
        "\nShares carry 95 % Wilson intervals, with pairs taken as independent. Ratio: latent distance to the negatives' mean.\n"
        "'Paper': Table 1 of Exploring the Lands Between (StyleGAN2, 1,120 pairs), at that paper's default threshold."
    )


def figures(made: SampleSet) -> dict[str, Any]:
    """Everything that is printed, as values."""
    tables = []
    for title, table in _all_sections(made):
        rows = []
        for row in table.rows:
            printed = published_mean(row.sample_type, row.step) if row.direction is None else None
            rows.append({**asdict(row), "published": asdict(printed) if printed else None})
        tables.append({"recogniser": table.recogniser, "threshold": table.threshold, "threshold_is": title, "rows": rows})
    return {"configuration": made.configuration.to_dict(), "counts": made.manifest["counts"], "tables": tables}


def _all_sections(made: SampleSet) -> list[tuple[str, AcceptanceTable]]:
    return [section for name in recognisers(made.pairs) for section in _sections(made, name)]


def _sections(made: SampleSet, recogniser: str) -> list[tuple[str, AcceptanceTable]]:
    """(what the threshold is, the table): the default one first, then the calibrated ones where they are stored."""
    default = made.manifest["thresholds"][recogniser]
    sections = [("default", acceptance_table(made.pairs, recogniser, default))]
    try:
        calibrated = load_thresholds(made.configuration.generator, recogniser).calibrated
    except LiminalError:
        return sections  # never calibrated for this generator
    for each in calibrated:
        title = f"calibrated: {100 * each.rate:g} % of this generator's strangers, interval {each.low:.3f} to {each.high:.3f}"
        sections.append((title, acceptance_table(made.pairs, recogniser, each.distance)))
    return sections


def _print_reached(made: SampleSet) -> None:
    """How many runs of the search came under each target."""
    kept = [each for run in made.manifest["searches"] for each in run["kept"]]
    for target in made.identity.targets:
        runs = [each for each in kept if each["target"] == target]
        if runs:
            reached = Proportion.of(sum(each["reached"] for each in runs), len(runs))
            print(f"  search under {target:g}: {reached.count} of {reached.n} runs, {interval(reached)}")


def _print_table(table: AcceptanceTable) -> None:
    paper = table.recogniser in published_thresholds()
    header = f"{'sample type':<22}{'n':>5}  {'no face':>8}  {'accepted':>21}{'distance':>10}{'LPIPS':>7}{'ratio':>7}"
    print(header + ("   paper: accepted, distance, LPIPS, ratio" if paper else "   paper: LPIPS, ratio"))
    for row in table.rows:
        print(_line(row) + _paper(row, table.recogniser, paper))


def _line(row: AcceptanceRow) -> str:
    name = row.sample_type
    if row.direction is not None:
        name = f"  {row.direction}"
    elif row.step is not None:
        name = f"  {100 * row.step:.0f} %" if row.sample_type == "interpolation" else f"  {row.step:g}"
    return (
        f"{name:<22}{row.pairs:>5}  {percent(row.no_face.share):>8}  {interval(row.accepted):>21}"
        f"{number(row.distance):>10}{number(row.lpips):>7}{number(row.latent_ratio):>7}"
    )


def _paper(row: AcceptanceRow, recogniser: str, same_model: bool) -> str:
    printed = published_mean(row.sample_type, row.step) if row.direction is None else None
    if printed is None:
        return ""
    ours = f"{100 * printed.accepted[recogniser]:>9.0f} %{printed.distances[recogniser]:>8.2f}" if same_model else ""
    return f"   {ours}{printed.lpips:>7.2f}{printed.latent_ratio:>7.2f}"

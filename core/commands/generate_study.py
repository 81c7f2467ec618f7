"""``python -m core generate study --plan FILE``: a whole data set, in pieces that can be made anywhere and begun again."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from core.commands.terminal import TerminalProgress, count_noun
from core.errors import LiminalError
from core.progress import Progress
from core.sampling.datasets import plan as plan_module
from core.sampling.datasets.data_set import DataSet
from core.sampling.datasets.plan import DataSetPlan, Piece, read_plan
from core.sampling.datasets.running import estimate_worker_seconds, format_duration, inspect_folder, require_ray, run_plan
from core.studies.library import DataSetRegister

EXIT_STOPPED = 130


def add_arguments(study: argparse.ArgumentParser) -> None:
    """The options; what is made stands in the plan."""
    study.formatter_class = argparse.RawDescriptionHelpFormatter
    study.epilog = _describe_plan_file()
    study.add_argument("--plan", type=Path, required=True, metavar="FILE", help="TOML or JSON: what to make (see below)")
    study.add_argument("--out", type=Path, required=True, help="the data set's folder; one that was begun with this plan goes on")
    add_ray_arguments(study)
    study.add_argument("--threads", type=int, default=1, metavar="N", help="of torch in one piece (default 1); part of the result")
    study.add_argument("--pieces", type=int, metavar="N", help="stop after so many pieces; the same command goes on from there")
    study.add_argument("--dry-run", action="store_true", help="say what would be made, and what it takes; make nothing")
    study.add_argument("--price", type=float, metavar="X", help="what a worker costs an hour, for the estimate")


def add_ray_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that all kinds of ``generate`` share."""
    parser.add_argument("--on", choices=["ray"], help="make the pieces side by side: on this computer, or on RAY_ADDRESS's cluster")
    parser.add_argument("--workers", type=int, metavar="N", help="processors of a Ray on this computer (default: all)")


def run(arguments: argparse.Namespace) -> int:
    """Make what is missing, and say what there is."""
    plan = read_plan(arguments.plan)
    check_workers(arguments)
    for name in ("threads", "pieces"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise LiminalError(f"--{name} must be at least 1, not {value}.")
    if arguments.price is not None and not arguments.price >= 0:
        raise LiminalError(f"--price must be a number from 0, not {arguments.price}.")
    if arguments.dry_run:
        print(_print_forecast(plan, arguments))
        return 0
    if arguments.on == "ray":
        require_ray()
    try:
        with TerminalProgress() as terminal:
            outcome = run_plan(
                plan,
                arguments.out,
                Progress(terminal),
                ray=arguments.on == "ray",
                workers=arguments.workers,
                threads=arguments.threads,
                most=arguments.pieces,
            )
    except KeyboardInterrupt:
        print(f"Stopped by Ctrl-C; finished pieces are kept in {arguments.out}: the same command goes on.", file=sys.stderr)
        return EXIT_STOPPED
    print(
        f"{count_noun(outcome.pieces_made, 'piece')} made in {format_duration(outcome.seconds)}, "
        f"{outcome.pieces_done:,} of {outcome.pieces_total:,} are there in {arguments.out}"
    )
    if outcome.finished:
        print(_print_finished(arguments.out))
    else:
        print(_estimate_time(plan, arguments))
        print("The same command goes on from here.")
    return 0


def check_workers(arguments: argparse.Namespace) -> None:
    """Raises LiminalError for a number of workers that makes no sense."""
    if arguments.workers is not None and arguments.workers < 1:
        raise LiminalError(f"--workers must be at least 1, not {arguments.workers}.")


def _print_forecast(plan: DataSetPlan, arguments: argparse.Namespace) -> str:
    pieces = plan.pieces()
    lines = []
    identity = [piece for piece in pieces if piece.kind == "identity"]
    if identity:
        images, pairs, searches = (sum(getattr(piece, name) for piece in identity) for name in ("images", "pairs", "searches"))
        lines.append(
            f"identity: {count_noun(len(identity), 'batch', 'batches')} (a piece each), {count_noun(images, 'image')} at most, "
            f"{count_noun(pairs, 'pair')}, {count_noun(searches, 'search', 'searches')}"
        )
    emotion = [piece for piece in pieces if piece.kind == "emotion"]
    if emotion:
        by_pair: Counter[str] = Counter()
        for piece in emotion:
            by_pair[_describe_piece(piece)] += piece.sample_count
        bases = sum(piece.images - piece.sample_count for piece in emotion)
        lines.append(
            f"emotion: {count_noun(len(emotion), 'piece')}, {count_noun(by_pair.total(), 'image')}, and {count_noun(bases, 'base')}"
        )
        lines += [f"  {name:<34}{number:>12,}" for name, number in by_pair.items()]
    images = sum(piece.images for piece in pieces)
    lines.append(f"in all: {count_noun(len(pieces), 'piece')}, {count_noun(images, 'image')} at most, in {arguments.out}")
    lines.append(_estimate_time(plan, arguments))
    return "\n".join(lines)


def _describe_piece(piece: Piece) -> str:
    c = piece.configuration
    return f"{c.emotion1} or {c.emotion2}, {'guided' if c.guided else 'unguided'}"  # type: ignore[union-attr]


def _estimate_time(plan: DataSetPlan, arguments: argparse.Namespace) -> str:
    """Time and cost of what is missing, from pieces that were made; otherwise how to find out."""
    missing, records, finished = inspect_folder(plan, arguments.out, arguments.threads)
    if finished:
        return "All of it is there already."
    seconds = estimate_worker_seconds(missing, records)
    if seconds is None:
        return (
            "time: unknown until a piece of each kind was made here; '--pieces 2' makes the first ones, which are kept, and says "
            "what the rest takes"
        )
    workers = arguments.workers or 1
    cost = f", {arguments.price * seconds / 3600:,.2f} at {arguments.price:g} an hour" if arguments.price is not None else ""
    together = f", {format_duration(seconds / workers)} with {workers} workers" if workers > 1 else ""
    return f"time: {format_duration(seconds)} of one worker for the {count_noun(len(missing), 'missing piece')}{together}{cost}"


def _print_finished(folder: Path) -> str:
    data = DataSet.open(folder)
    DataSetRegister().add(folder)
    contents = f"{count_noun(data.rows('samples'), 'image')}, {count_noun(data.rows('pairs'), 'pair')}, {data.size / 1e6:,.1f} MB"
    return f"{contents}; finished, and listed in the library"


def _describe_plan_file() -> str:
    return "the plan:\n" + "\n".join((plan_module.__doc__ or "").splitlines()[1:])

"""``python -m core models``: add models or get some by name, list all, check them, how they err and whom they confuse."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from typing import Any

from core.analysis.error_rates import INTERVAL, explain_errors, explain_ranges, format_share, load_error_rates
from core.analysis.estimate import Estimate, Proportion, to_plain
from core.analysis.zoo import INTERVAL as INTERVAL_OF_ZOO
from core.commands import models_get
from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.models import check, registry
from core.models.custom import catalogue
from core.models.custom.catalogue import CLASSES
from core.models.custom.manager import add_model
from core.progress import Progress
from core.sampling.building.precompute import precompute_model
from core.sampling.stored.master_faces import MasterFaces
from core.sampling.stored.population import AcceptanceShare, load_population


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of ``models``."""
    parts = parser.add_subparsers(dest="action", required=True, metavar="add|get|list|show|errors|zoo|check|prepare|remove")
    classes = "; ".join(f"{name}: {model_class.source}" for name, model_class in CLASSES.items())
    add = parts.add_parser("add", help="add a model of your own", description=f"What SOURCE is, by class: {classes}.")
    add.add_argument("name", help="how it is to be called, such as ffhq-1024")
    add.add_argument("model_class", metavar="class", help=f"one of {', '.join(CLASSES)}")
    add.add_argument("source", help="a path, or a hub repository as owner/name")
    add.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="may be given several times")
    add.add_argument("--title", default="", help="how people read it")
    add.add_argument("--weights-licence", default="")
    add.add_argument("--data-licence", default="")
    add.add_argument("--replace", action="store_true", help="instead of the added model of that name")
    add.add_argument("--device", help="cpu, cuda, cuda:1 or mps instead of the one chosen")
    models_get.add_arguments(parts.add_parser("get", help="fetch and add models, or a paper's whole stack, by name"))
    listing = parts.add_parser("list", help="the models to choose from, built-in and added")
    listing.add_argument("--json", action="store_true")
    show = parts.add_parser("show", help="where a model comes from; of a generator with named latents, what each does")
    show.add_argument("name")
    show.add_argument("--json", action="store_true")
    errors = parts.add_parser("errors", help="how often recognisers err on people of a generator that knows who is who")
    errors.add_argument("name", nargs="?", default=registry.default_generator("phone"), help="default %(default)s")
    errors.add_argument("--json", action="store_true")
    zoo = parts.add_parser("zoo", help="who is easily imitated or refused, and which faces open most phones")
    zoo.add_argument("name", nargs="?", default=registry.default_generator("phone"), help="a generator (default %(default)s)")
    zoo.add_argument("--recogniser", metavar="NAME", help="this one alone (default: all that judged its strangers)")
    zoo.add_argument("--json", action="store_true")
    check = parts.add_parser("check", help="does a model keep its contract, and how fast is it?")
    check.add_argument("names", nargs="*", metavar="NAME", help="all that were added, if none is named")
    check.add_argument("--device", help="cpu, cuda, cuda:1 or mps instead of the one chosen")
    prepare = parts.add_parser("prepare", help="work out what the pages show of an added model at once")
    prepare.add_argument("name")
    prepare.add_argument("--count", type=int, default=24, help="generator: faces to choose from (default %(default)s)")
    prepare.add_argument("--people", type=int, default=300, help="other faces, made and judged (default %(default)s)")
    remove = parts.add_parser("remove", help="take an added model off the list; its files stay")
    remove.add_argument("name")


def run(arguments: argparse.Namespace) -> int:
    """One sub-command; exit code 2 where a check found something."""
    actions = {
        "add": _add,
        "get": models_get.run,
        "list": _list,
        "show": _show,
        "errors": _errors,
        "zoo": _zoo,
        "check": _check,
        "prepare": _precompute,
        "remove": _remove,
    }
    return actions[arguments.action](arguments)


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; a value is read as JSON where it is some (0.7, null, {...}), else as text."""
    options: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name.strip():
            raise LiminalError(f"'{pair}' is no option; write NAME=VALUE, such as truncation=0.7.")
        try:
            options[name.strip()] = json.loads(value)
        except ValueError:
            options[name.strip()] = value.strip()
    return options


def _add(arguments: argparse.Namespace) -> int:
    with TerminalProgress() as terminal:
        added = add_model(
            arguments.name,
            arguments.model_class,
            arguments.source,
            options=parse_options(arguments.option),
            title=arguments.title,
            weights_licence=arguments.weights_licence,
            data_licence=arguments.data_licence,
            replaces=arguments.replace,
            device=arguments.device,
            progress=Progress(terminal),
        )
    print(f"Added {added.custom.name}: {added.custom.title}, {added.report.speed}.")
    for name, value in added.custom.options.items():
        print(f"  {name} = {json.dumps(value, ensure_ascii=False)}")
    if CLASSES[arguments.model_class].kind in ("generator", "recogniser", "classifier"):
        print(f"Run 'python -m core models prepare {added.custom.name}' once, and the pages can begin with it.")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    rows = [
        {
            "name": entry.name,
            "kind": entry.kind,
            "title": entry.title,
            "class": entry.custom.model_class if entry.custom else "built-in",
            "source": entry.custom.source if entry.custom else None,
            "options": dict(entry.custom.options) if entry.custom else {},
        }
        for entry in registry.list_entries()
        if entry.offered
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        origin = f"{row['class']} {row['source']}" if row["source"] else "built-in"
        print(f"{row['kind']:<11}{row['name']:<18}{row['title']}  [{origin}]")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    entry = registry.find_entry(arguments.name)
    card = registry.read_card(entry)
    facts = {
        "name": entry.name,
        "kind": entry.kind,
        "title": entry.title,
        "source": card.source,
        "weights_licence": card.weights_licence,
        "data_licence": card.data_licence,
        "not_for": card.not_for,
    }
    names = registry.load(entry.name, "generator").latent_names if entry.kind == "generator" else ()
    rates = load_error_rates(entry.name) if entry.kind == "generator" else None
    if rates is not None:
        facts["ranges"] = explain_ranges(rates)
        facts |= {f"errors of {errors.recogniser}": explain_errors(errors) for errors in rates.recognisers}
    if arguments.json:
        print(json.dumps({**facts, "latents": [dataclasses.asdict(latent) for latent in names]}, indent=2))
        return 0
    for name, fact in facts.items():
        print(f"{name.replace('_', ' '):<17}{fact}")
    if names:
        print(f"\n{len(names)} latents, standard normal; each has a value in its unit.")
    for index, latent in enumerate(names):
        if index == 0 or latent.block != names[index - 1].block:
            print(f"\n{latent.block}")
        span = f"{latent.lowest:g} to {latent.highest:g} {latent.unit}"
        print(f"  {latent.name:<26}{span:<26}{latent.meaning}")
    return 0


def _errors(arguments: argparse.Namespace) -> int:
    entry = registry.find_entry(arguments.name, "generator")
    rates = load_error_rates(entry.name)
    if rates is None:
        raise LiminalError(f"No error rates of {entry.title} are stored; only a generator that knows who is who has some.")
    if arguments.json:
        print(json.dumps(dataclasses.asdict(rates), indent=2))
        return 0
    print(f"{entry.title}. {explain_ranges(rates)}")
    for errors in rates.recognisers:
        print(f"\n{explain_errors(errors)}")
        heads = " ".join(f"{f'FMR {100 * rate:g} %, {distance:.3f}':>22}" for rate, distance in errors.limits)
        print(f"\n  {'share of pairs refused at':<66}{'pairs':>7}{'people':>8} {heads}")
        for row in errors.levels:
            name = f"{row.condition}: {row.level}" if row.level else row.condition
            print(f"  {name:<66}{row.pairs:>7}{row.people:>8} " + " ".join(f"{format_share(share):>22}" for share in row.refused))
        held_out = " ".join(f"{f'{100 * share.share:.3f} %':>22}" for share in errors.false_match)
        print(f"  {'strangers let in, held out':<66}{errors.impostor_pairs:>7,}{rates.people:>6} {held_out}")
    print(f"\nIntervals: {INTERVAL}.")
    return 0


def _zoo(arguments: argparse.Namespace) -> int:
    from core.figures.zoo import NO_PROOF, explain_animals, format_p, measure_generator, name_limit  # Plotly

    entry = registry.find_entry(arguments.name, "generator")
    names = [arguments.recogniser] if arguments.recogniser else list(load_population(entry.name).descriptors)
    for name in names:
        registry.find_entry(name, "recogniser")
    measured = {name: measure_generator(entry.name, name) for name in names}
    if arguments.json:
        plain = {
            name: {"zoo": zoo, "masters": [collect_master_values(rate, faces) for rate, faces in masters]}
            for name, (zoo, masters) in measured.items()
        }
        print(json.dumps(to_plain(plain), indent=2))
        return 0
    for name, (zoo, masters) in measured.items():
        print(f"{registry.title(name)}, {zoo.people:,} strangers of {entry.title}")
        print(f"  {explain_animals(zoo)}")
        for words, test in (("lambs", zoo.lambs), ("wolves", zoo.wolves), ("goats", zoo.goats)):
            if test is not None:
                more = "" if math.isnan(test.friedman) else f", Friedman {test.friedman:,.0f} ({format_p(test.friedman_p)})"
                kruskal = f"Kruskal-Wallis {test.kruskal:,.0f} ({format_p(test.kruskal_p)})"
                print(f"  {words:<7}{kruskal}, F {test.f:,.1f} ({format_p(test.f_p)}){more}")
        for limit, (rate, faces) in zip(zoo.limits, masters, strict=True):
            spread, one, together = limit.imitated, faces.share(1), faces.share(len(faces.rows))
            print(f"  {name_limit(rate, faces.limit)}")
            none, heaviest = describe_proportion(spread.none), describe_estimate(spread.heaviest)
            print(
                f"    nobody gets in to {none} of owners ({100 * spread.none_alike:.0f} % were all alike); the most imitable tenth "
                f"carries {heaviest} of false matches ({100 * spread.heaviest_alike:.0f} % were all alike)"
            )
            if limit.refused is not None and limit.refused.rate:
                print(
                    f"    never refused: {describe_proportion(limit.refused.none)} of people; the most refused tenth carries "
                    f"{describe_estimate(limit.refused.heaviest)} of refusals "
                    f"({100 * limit.refused.heaviest_alike:.0f} % were all alike)"
                )
            print(
                f"    one face opens {describe_proportion(one)} of phones, {len(faces.rows)} together "
                f"{describe_proportion(together)} (owners that they were not picked by)"
            )
        print()
    print(f"Intervals: {INTERVAL_OF_ZOO}; of phones, Wilson over owners.\n{NO_PROOF}")
    return 0


def describe_proportion(share: Proportion | AcceptanceShare) -> str:
    """'4.9 % (3.7 to 6.4)'."""
    return f"{100 * share.share:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})"


def describe_estimate(share: Estimate) -> str:
    """The same of an estimate, without the interval where there is none."""
    between = "" if math.isnan(share.low) else f" ({100 * share.low:.0f} to {100 * share.high:.0f})"
    return f"{100 * share.value:.0f} %{between}"


def collect_master_values(rate: float | None, faces: MasterFaces) -> dict[str, Any]:
    """The faces that open most phones at one limit, as plain values: shares of the first 1, 2, ... faces together."""
    return {
        "rate": rate,
        "limit": faces.limit,
        "rows": list(faces.rows),
        "together": [faces.share(count) for count in range(1, len(faces.rows) + 1)],
        "together_on_the_picking_half": [faces.share(count, picking=True) for count in range(1, len(faces.rows) + 1)],
    }


def _check(arguments: argparse.Namespace) -> int:
    chosen = arguments.names or [custom.name for custom in catalogue.list_custom_models()]
    if not chosen:
        print("No model was added; name a built-in one to check it.")
    broken = 0
    for name in chosen:
        entry = registry.find_entry(name)
        try:
            report = check(registry.load(entry.name, entry.kind, arguments.device))
            findings, speed = report.findings, report.speed
        except LiminalError as error:
            findings, speed = (str(error),), "not loaded"
        broken += bool(findings)
        print(f"{'PROBLEM' if findings else 'ok     '} {entry.kind}: {name} ({entry.title}), {speed}")
        for finding in findings:
            print(f"        {finding}")
    return 2 if broken else 0


def _precompute(arguments: argparse.Namespace) -> int:
    with TerminalProgress() as terminal:
        precomputed = precompute_model(arguments.name, count=arguments.count, people=arguments.people, progress=Progress(terminal))
    print(precomputed.words)
    for sentence in precomputed.skipped:
        print(f"  {sentence}")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    removed = catalogue.remove_custom_model(arguments.name)
    print(f"Removed {removed.name} from the list; its files at {removed.source} were left alone.")
    return 0

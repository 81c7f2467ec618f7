"""``python -m core chains ...``: faces made by people, by Gibbs sampling (Harrison et al. 2020, NeurIPS 33), without a browser.

make: a study; prints the path of the link to send. simulate: one whose people are simulated and aim at a planted face. summary:
what the chains came to and whether they have met. export: every step as a table. faces: the chains' faces and their mean as a
sample set. list, close, forget, delete.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from core.analysis.chains import ChainResult, make_faces, measure_chains
from core.commands.terminal import TerminalProgress, add_actions, count_noun, name_flags, run_action
from core.errors import LiminalError
from core.figures.chains import name_latent
from core.lazy_import import lazy_import
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.stored.gallery import load_gallery
from core.studies.chain_simulation import PlantedUtility, simulate_chains
from core.studies.chain_store import ChainStore
from core.studies.chains import ChainDesign, ChainStudy, SliderLatent
from core.studies.words import LANGUAGES
from core.writing import check_folder_is_free, write_bytes

if TYPE_CHECKING:
    from core.sampling import named_slider
else:  # PyTorch
    named_slider = lazy_import("core.sampling.named_slider")

LINK_PATH = "/take-part?making="
FLAGS = {name: f"--{name.replace('_', '-')}" for name in ("latents", "bases", "target", "wording", "chains", "sweeps", "seed")}
FLAGS |= {"steps_each": "--steps", "language": "--language"}


def add_design_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a design."""
    parser.add_argument("--name", required=True, metavar="NAME", help="the name of the new study")
    aim = parser.add_mutually_exclusive_group(required=True)
    aim.add_argument("--target", choices=EMOTIONS, help="the feeling that people are to make as strong as they can")
    aim.add_argument("--wording", default="", metavar="TEXT", help="what people read instead, such as 'Make this face look kind'")
    parser.add_argument("--generator", default="head", metavar="NAME", help="one with named latents (default %(default)s)")
    parser.add_argument(
        "--base", nargs="+", default=[], dest="bases", metavar="ID", help="faces of its gallery (default: the first)"
    )
    parser.add_argument(
        "--latents", nargs="+", default=[], metavar="NAME", help="what people move (default: the actions of the face, no feeling)"
    )
    parser.add_argument("--chains", type=int, default=8, metavar="N", help="default %(default)s")
    parser.add_argument("--sweeps", type=int, default=8, metavar="N", help="how often each latent is moved (default %(default)s)")
    parser.add_argument("--steps", type=int, default=24, metavar="N", help="steps of one person (default %(default)s)")
    parser.add_argument("--own", action="store_true", help="everybody has a chain of their own; else chains are passed on")
    parser.add_argument("--language", default="browser", choices=["browser", *LANGUAGES], help="default: what the browser asks for")
    parser.add_argument("--seed", type=int, default=0, metavar="S")


def read_design(arguments: argparse.Namespace) -> ChainDesign:
    """The design that the options describe. Raises LiminalError for an unknown latent or face."""
    latents = named_slider.choose_latents(arguments.generator, arguments.latents)
    faces = load_gallery(arguments.generator)
    bases = tuple(arguments.bases) or (faces.bases[0].base_id,)
    for base in bases:
        faces.base(base)  # says so where there is none of that id
    with name_flags(FLAGS):
        return ChainDesign(
            tuple(SliderLatent(latent.name, latent.lowest, latent.highest, latent.meaning) for latent in latents),
            bases,
            arguments.generator,
            target=arguments.target or "",
            wording=arguments.wording,
            chains=arguments.chains,
            sweeps=arguments.sweeps,
            passed_on=not arguments.own,
            steps_each=arguments.steps,
            seed=arguments.seed,
            language=arguments.language,
        )


def _require_new(store: ChainStore, name: str) -> None:
    if any(study.name == name.strip() for study in store.studies()):
        raise LiminalError(f"There are faces made by people called '{name.strip()}' already; choose another name.")


def run_make(arguments: argparse.Namespace) -> int:
    """Make the study and print where people take part."""
    store = ChainStore()
    _require_new(store, arguments.name)
    design = read_design(arguments)
    study = store.create(ChainStudy(arguments.name, design))
    for note in design.warnings():
        print(f"Note: {note}", file=sys.stderr)
    print(
        f"'{study.name}': {count_noun(design.chains, 'chain')} of {count_noun(design.length, 'step')} over "
        f"{count_noun(len(design.latents), 'latent')}, which takes {count_noun(design.people, 'person', 'people')} of about "
        f"{count_noun(design.minutes, 'minute')} each."
    )
    print(f"{LINK_PATH}{study.token}")
    return 0


def add_simulate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_design_arguments(parser)
    parser.add_argument(
        "--plant", nargs="+", default=[], metavar="LATENT=VALUE",
        help="what simulated people aim at (default with --target: the generator's own description of that feeling)",
    )  # fmt: skip
    parser.add_argument(
        "--spread", type=float, default=0.12, metavar="X", help="of their choices, in sliders (default %(default)s)"
    )
    parser.add_argument("--lapse", type=float, default=0.02, metavar="X", help="share of choices by chance (default %(default)s)")


def run_simulate(arguments: argparse.Namespace) -> int:
    """Simulate the study, store it whole, and print what the chains came to."""
    store = ChainStore()
    _require_new(store, arguments.name)
    design = read_design(arguments)
    if arguments.plant:
        target = dict(_read_planted(text) for text in arguments.plant)
    elif design.target:
        offered = {latent.name: latent.values for latent in design.latents}
        target = named_slider.find_feeling_values(design.generator, design.bases[0], offered, design.target)
    else:
        raise LiminalError("Say what simulated people aim at with --plant LATENT=VALUE; a wording means nothing to them.")
    with name_flags({"spread": "--spread", "lapse": "--lapse"}):
        utility = PlantedUtility(target, arguments.spread, arguments.lapse)
    study = store.restore(*simulate_chains(ChainStudy(arguments.name, design), utility, seed=arguments.seed))
    _print_result(study, measure_chains(study, store.steps(study.name)))
    return 0


def _read_planted(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise LiminalError(f"--plant takes LATENT=VALUE, such as smile=0.8, not '{text}'.") from None


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", metavar="NAME")


def add_summary_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    _add_name(parser)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run_summary(arguments: argparse.Namespace) -> int:
    """Print what the chains came to."""
    store = ChainStore()
    study = store.study(arguments.study)
    result = measure_chains(study, store.steps(study.name))
    if arguments.json:
        print(json.dumps({"study": study.name, "design": study.design.to_dict(), "note": study.note, **result.to_dict()}, indent=1))
    else:
        _print_result(study, result)
    return 0


def _print_result(study: ChainStudy, result: ChainResult) -> None:
    simulated = study.source == "simulated"
    print(f"{study.name}{' (simulated)' if simulated else ''}: {result.says}")
    people = count_noun(result.basis.raters, "person", "people")
    print(
        f"{count_noun(result.chains, 'chain')} of {count_noun(result.sweeps, 'sweep')}; {count_noun(result.basis.answers, 'step')} "
        f"of {people}. {result.interval}; the first half of the sweeps is left out.\n"
    )
    print(f"  {'latent':<20}{'mean':>8}  {'interval':<17}{'spread':>7}{'R-hat':>8}  {'':<11}what it moves")
    for outcome in result.latents:
        mean = outcome.mean
        interval = f"{mean.low:.2f} to {mean.high:.2f}" if math.isfinite(mean.low) else "none"
        r_hat = f"{outcome.r_hat:.2f}" if not math.isnan(outcome.r_hat) else "none"
        print(
            f"  {outcome.latent.name:<20}{mean.value:>8.2f}  {interval:<17}{outcome.spread:>7.2f}{r_hat:>8}  {outcome.verdict:<11}"
            f"{name_latent(outcome)}"
        )
    for note in (study.note, result.note):
        if note:
            print(f"\n{note}")


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    _add_name(parser)
    parser.add_argument("--table", type=Path, required=True, metavar="FILE.csv", help="every step, one a row")


def run_export(arguments: argparse.Namespace) -> int:
    """Write the steps as a table."""
    store = ChainStore()
    study = store.study(arguments.study)
    steps = store.steps(study.name)
    table = steps.assign(base=[study.design.base_of(chain) for chain in steps["chain"]])
    write_bytes(arguments.table, table.drop(columns="presented").to_csv(index=False).encode())
    print(f"Wrote {count_noun(len(table), 'step')} to {arguments.table}.")
    return 0


def add_faces_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    _add_name(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder of the sample set; must be new or empty")


def run_faces(arguments: argparse.Namespace) -> int:
    """Draw and judge the chains' faces and their mean, and write the sample set."""
    store = ChainStore()
    study = store.study(arguments.study)
    check_folder_is_free(arguments.out)
    with TerminalProgress() as terminal:
        made = make_faces(study, store.steps(study.name), progress=Progress(terminal))
    made.sample_set.save(arguments.out)
    for number, judged in enumerate(made.means, 1):
        said = "; ".join(
            f"{registry.title(name)}: {EMOTIONS[max(range(6), key=shares.__getitem__)]}, {100 * max(shares):.0f} %"
            for name, shares in ((name, scores.calibrated) for name, scores in judged.opinions.items())
        )
        which = f" of base {number}, {judged.face.base}" if len(made.means) > 1 else ""
        print(f"Mean face{which}: {said}")
    print(f"{len(made.sample_set.samples):,} faces in {arguments.out}.")
    return 0


def run_list(_: argparse.Namespace) -> int:
    """Print a line for each study."""
    store = ChainStore()
    studies = store.studies()
    if not studies:
        print("No faces are made by people yet; 'python -m core chains make --help' says how.")
    for study in studies:
        progress, design = store.progress(study.name), study.design
        marks = [study.source] * (study.source != "human") + ["closed"] * study.closed
        print(
            f"{study.name}  ({', '.join([design.target or design.wording, *marks])}): {progress.complete:,} of "
            f"{count_noun(design.chains, 'chain')} complete, {count_noun(progress.steps, 'step')} of "
            f"{count_noun(progress.people, 'person', 'people')}"
        )
    return 0


def run_close(arguments: argparse.Namespace) -> int:
    """Take no more steps."""
    ChainStore().close(arguments.study)
    print(f"'{arguments.study}' is closed; what was chosen stays.")
    return 0


def add_forget_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    _add_name(parser)
    parser.add_argument("--person", required=True, metavar="ID", help="whose name goes")
    parser.add_argument("--reason", default="", help="kept in the record, without the person's name")


def run_forget(arguments: argparse.Namespace) -> int:
    """Take one person's name off their steps."""
    steps = ChainStore().forget(arguments.study, arguments.person, arguments.reason)
    print(f"Deleted one person's data; {count_noun(steps, 'step')} of theirs stay without a name, as others have built on them.")
    return 0


def add_delete_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    _add_name(parser)
    parser.add_argument("--reason", default="", help="kept in the record of what was deleted")
    parser.add_argument("--yes", action="store_true", help="say that it is meant")


def run_delete(arguments: argparse.Namespace) -> int:
    """Delete a study with all its steps."""
    store = ChainStore()
    steps = store.progress(arguments.study).steps
    if not arguments.yes:
        raise LiminalError(f"This deletes {count_noun(steps, 'step')} for good; add --yes to say that it is meant.")
    store.delete(arguments.study, arguments.reason)
    print(f"Deleted '{arguments.study}' with {count_noun(steps, 'step')}; a record says that it was there.")
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for each action."""
    add_actions(
        parser,
        (
            ("list", lambda action: None, run_list, "what is made"),
            ("make", add_design_arguments, run_make, "let people make faces; prints the link"),
            ("simulate", add_simulate_arguments, run_simulate, "the same by simulated people with a planted aim"),
            ("summary", add_summary_arguments, run_summary, "what the chains came to, and whether they have met"),
            ("export", add_export_arguments, run_export, "every step as a table"),
            ("faces", add_faces_arguments, run_faces, "the chains' faces and their mean, judged, as a sample set"),
            ("close", _add_name, run_close, "take no more steps"),
            ("forget", add_forget_arguments, run_forget, "take one person's name off their steps"),
            ("delete", add_delete_arguments, run_delete, "delete a study with all its steps"),
        ),
    )


run = run_action

"""``python -m core models get``: models and the papers' stacks by name, from asking to the command that makes the data set.

It says what is fetched, how large it is and under which licences, and asks; fetches, going on with what an earlier run left; adds,
which loads and checks; trains what is trained here; prepares for the pages. What was added before is left as it is, so that the
same command goes on after anything that stopped it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.commands.terminal import TerminalProgress
from core.data_folder import data_folder
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.custom.catalogue import CLASSES, CustomModel, list_custom_models
from core.models.custom.downloads import (
    DownloadSize,
    check_space,
    fetch_address,
    fetch_hub_file,
    is_address,
    measure_download,
    name_target,
    weights_folder,
)
from core.models.custom.recipes import GIVEN_EXAMPLES, RECIPES, Download, Recipe, RecipeModel, find_recipe
from core.progress import Progress
from core.sampling.stored.scores import is_precomputed
from core.writing import write_bytes

if TYPE_CHECKING:
    from core.commands import train
    from core.models.custom import external, loading, manager
    from core.models.training import data
    from core.sampling.building import precompute
    from core.sampling.datasets import plan
else:  # PyTorch, once something is to be got
    train, data = lazy_import("core.commands.train"), lazy_import("core.models.training.data")
    external, loading, manager = (lazy_import(f"core.models.custom.{name}") for name in ("external", "loading", "manager"))
    precompute, plan = lazy_import("core.sampling.building.precompute"), lazy_import("core.sampling.datasets.plan")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``models get``."""
    parser.add_argument("name", nargs="?", help=f"one of {', '.join(RECIPES)}; without a name all are listed")
    parser.add_argument("--stylegan2", metavar="FILE", help=f"paper-a: {GIVEN_EXAMPLES['stylegan2']}")
    parser.add_argument("--prior", metavar="FILE", help=f"paper-b: {GIVEN_EXAMPLES['prior']}")
    parser.add_argument("--images", metavar="FOLDER", help=f"paper-b: {GIVEN_EXAMPLES['images']}")
    parser.add_argument("--yes", action="store_true", help="do not ask whether to go on")
    parser.add_argument("--people", type=int, default=300, help="other faces for the pages, made and judged (default %(default)s)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 or mps instead of the one chosen")


@dataclass(frozen=True)
class _Fetch:
    """A download, where a file of it is to lie (None: in the hub's own cache), and its size."""

    download: Download
    target: Path | None
    size: DownloadSize


def run(arguments: argparse.Namespace) -> int:
    """List what there is, or get one."""
    if arguments.name is None:
        for recipe in RECIPES.values():
            print(f"{recipe.name:<16}{recipe.about}")
        print("\n'python -m core models get NAME' says sizes and licences before it fetches anything.")
        return 0
    recipe = find_recipe(arguments.name)
    added = {model.name: model for model in list_custom_models()}
    pending = [model for model in recipe.models if not _is_added(model, added)]
    given = _check_given(recipe, pending, arguments)
    for library, purpose in recipe.libraries if pending else ():
        loading.require_library(library, purpose)
    fetches = {model.name: _measure(model, given) for model in pending}
    if pending and not _agree(recipe, pending, fetches, arguments.yes):
        print("Nothing was fetched.")
        return 0
    check_space(data_folder(), sum(fetch.size.missing for row in fetches.values() for fetch in row))
    with TerminalProgress() as terminal:
        progress = Progress(terminal)
        for model in pending:
            _add(model, fetches[model.name], given, arguments.device, progress)
        for model in recipe.models:
            if CLASSES[model.model_class].kind in ("generator", "recogniser", "classifier") and not is_precomputed(model.name):
                precompute.precompute_model(model.name, people=arguments.people, progress=progress)
    _say_next(recipe)
    return 0


def _is_added(model: RecipeModel, added: Mapping[str, CustomModel]) -> bool:
    """Whether it is on the list. Raises LiminalError where another model has its name."""
    known = added.get(model.name)
    if known is not None and known.model_class != model.model_class:
        raise LiminalError(
            f"A model called '{model.name}' was added before, of another class ({known.model_class}); remove it first by "
            f"'python -m core models remove {model.name}'."
        )
    return known is not None


def _check_given(recipe: Recipe, pending: list[RecipeModel], arguments: argparse.Namespace) -> dict[str, str]:
    """Option -> what the user named. Raises LiminalError for what is missing, is not there, or is not asked for."""
    wanted = {name for model in recipe.models for name in (model.given, model.trained) if name}
    needed = {name for model in pending for name in (model.given, model.trained) if name}
    given = {name: str(value) for name in GIVEN_EXAMPLES if (value := getattr(arguments, name)) is not None}
    extra = next((name for name in given if name not in wanted), None)
    if extra is not None:
        raise LiminalError(f"--{extra} has no meaning for {recipe.name}; leave it out.")
    for name in GIVEN_EXAMPLES:
        if name not in needed:
            continue
        if name not in given:
            raise LiminalError(f"{recipe.name} needs --{name}: {GIVEN_EXAMPLES[name]}.")
        if name == "images":
            data.find_pictures(Path(given[name]).expanduser())
        elif not is_address(given[name]) and not Path(given[name]).expanduser().is_file():
            raise LiminalError(f"There is no file {given[name]}; name by --{name} {GIVEN_EXAMPLES[name]}.")
    return given


def _measure(model: RecipeModel, given: Mapping[str, str]) -> list[_Fetch]:
    """What is to be fetched for a model, and how large it is."""
    downloads = list(model.downloads)
    if model.given and is_address(given[model.given]):
        downloads.append(Download(given[model.given]))
    fetches = []
    for download in downloads:
        target: Path | None = None
        folder = weights_folder(data_folder(), model.name)
        if model.model_class == "deepface":
            target = external.find_deepface_weights(model.source)
        elif is_address(download.address):
            target = name_target(folder, download.address)
        elif model.description:
            target = folder / download.address.rpartition("/")[2]
        fetches.append(_Fetch(download, target, measure_download(download, target)))
    return fetches


def _agree(recipe: Recipe, pending: list[RecipeModel], fetches: Mapping[str, list[_Fetch]], yes: bool) -> bool:
    """Say what is to come, and ask. Raises LiminalError where nobody can be asked."""
    print(f"{recipe.name}: {recipe.about}.\n")
    for model in recipe.models:
        if model not in pending:
            print(f"  {model.name:<15}is here already.")
            continue
        row = fetches[model.name]
        size = (
            f"{sum(fetch.size.total for fetch in row) / 1e6:,.1f} MB"
            if row
            else ("your file" if model.given else "trained here on your pictures")
        )
        missing = sum(fetch.size.missing for fetch in row)
        rest = f", {missing / 1e6:,.1f} MB of them missing" if row and missing < sum(fetch.size.total for fetch in row) else ""
        stated = ", ".join(sorted({fetch.size.licence for fetch in row if fetch.size.licence}))
        print(f"  {model.name:<15}{model.title}; {size}{rest}")
        print(f"  {'':<15}weights: {model.weights_licence}{f' (the hub says: {stated})' if stated else ''}")
        print(f"  {'':<15}trained on: {model.data_licence}")
    missing = sum(fetch.size.missing for row in fetches.values() for fetch in row)
    print(f"\n{missing / 1e6:,.1f} MB are to be fetched. Whether you may use these models is between you and their makers.")
    if yes:
        return True
    if not sys.stdin.isatty():
        raise LiminalError("Nobody can be asked here whether to go on; say --yes once you have read the licences above.")
    return input("Fetch, add and prepare them? [y/N] ").strip().lower() in ("y", "yes")


def _add(model: RecipeModel, fetches: list[_Fetch], given: Mapping[str, str], device: str | None, progress: Progress) -> None:
    source = model.source
    folder = weights_folder(data_folder(), model.name)
    for fetch in fetches:
        if fetch.target is None:  # the model's class fetches it, by the hub's own cache
            continue
        if is_address(fetch.download.address):
            path = fetch_address(fetch.download.address, fetch.target, progress)
        else:
            path = fetch_hub_file(fetch.download, folder)
        source = source or str(path)
    if model.given and not source:
        source = str(Path(given[model.given]).expanduser())
    if model.trained:
        source = str(_train(given[model.trained], str(model.options["encoder"]), folder, progress))
    if model.description:
        described = Path(source).with_name(f"{model.name}.json")
        content = {"model": Path(source).name, **model.description}
        write_bytes(described, (json.dumps(content, indent=1) + "\n").encode())
        source = str(described)
    result = manager.add_model(
        model.name,
        model.model_class,
        source,
        options=model.options,
        title=model.title,
        weights_licence=model.weights_licence,
        data_licence=model.data_licence,
        device=device,
        progress=progress,
    )
    print(f"Added {model.name}: {result.report.speed}.")


def _train(images: str, encoder: str, folder: Path, progress: Progress) -> Path:
    """Paper B's emotion MLP from the user's pictures, by the command that trains it -> its file."""
    words = argparse.Namespace(
        network="clip-mlp",
        images=Path(images).expanduser(),
        encoder=encoder,
        out=folder,
        seed=0,
        steps=None,
        width=None,
        depth=None,
    )
    return train.fit_pictures(words, progress).path


def _say_next(recipe: Recipe) -> None:
    if not recipe.plan:
        print(f"{recipe.name} is ready: it appears on the pages, and 'python -m core models show {recipe.name}' says more.")
        return
    path = data_folder() / "plans" / f"{recipe.name}.toml"
    if not path.exists():  # one that was changed by hand stays
        write_bytes(path, recipe.plan.encode())
    plan.read_plan(path)
    print(f"All of {recipe.name} is ready. This makes its data set, and goes on after any interruption:\n")
    print(f"python -m core generate study --plan {path} --out {recipe.name.upper()}")

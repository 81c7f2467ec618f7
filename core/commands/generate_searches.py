"""``python -m core generate impostor|lockout|master|controversial``: a stranger who gets in, the smallest change of looks that
locks the owner out, the faces that together open most phones, and pairs on which two recognisers part (a set to ask about).

The owner is a generated face: one of the gallery's, or the face of a seed; of master faces everybody is an owner. The folder gets
the pictures that were judged as PNG, ``result.json`` (what was asked for, models and versions, results), the same results as a
table in ``results.csv``, and the latents.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.commands.terminal import TerminalProgress, count_noun, name_flags
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress
from core.sampling.configuration import MOST_CONTROVERSIAL, check_number, check_whole, configure_controversial
from core.sampling.images import to_images, to_pictures
from core.sampling.sample_set import describe_provenance, encode_png
from core.sampling.stored.gallery import find_gallery_base
from core.sampling.stored.master_faces import MASTER_FACES, pick_masters
from core.sampling.stored.population import (
    IMPOSTOR_SEARCHES,
    AcceptanceShare,
    load_population,
    load_thresholds,
    score_population,
)
from core.sampling.stored.scores import write_arrays
from core.writing import check_folder_is_free, new_folder

if TYPE_CHECKING:
    import torch

    from core.models.contracts import Generator, Recogniser
else:
    torch = lazy_import("torch")

SEARCH_ITERATIONS = 100
RESULT_FILE, TABLE_FILE, LATENTS_FILE = "result.json", "results.csv", "latents.npz"
PACKAGES = ("torch", "numpy", "cma")


def add_impostor_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the search for strangers who get in."""
    _add_owner_arguments(parser)
    parser.add_argument(
        "--searches", type=int, default=IMPOSTOR_SEARCHES, metavar="N", help="strangers that are begun with (default %(default)s)"
    )
    parser.add_argument(
        "--iterations", type=int, default=SEARCH_ITERATIONS, metavar="N", help="of each search at most (default %(default)s)"
    )


def add_lockout_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the search for the smallest change that locks out."""
    _add_owner_arguments(parser)


def _add_owner_arguments(parser: argparse.ArgumentParser) -> None:
    owner = parser.add_mutually_exclusive_group(required=True)
    owner.add_argument("--base", metavar="ID", help="the owner: a face of the gallery")
    owner.add_argument("--seed", type=int, metavar="S", help="the owner: the generator's face of this seed")
    _add_model_arguments(parser)


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    generators, recognisers = registry.list_names("generator"), registry.list_names("recogniser")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write; must be new or empty")
    parser.add_argument(
        "--generator", default=registry.default_generator("phone"), metavar="NAME", help=f"one of {', '.join(generators)}"
    )
    parser.add_argument(
        "--recogniser", default=recognisers[0], metavar="NAME", help=f"guards the phone: one of {', '.join(recognisers)}"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="X",
        help="distance below which it accepts (default: as it is delivered; for master the one that the pages begin at)",
    )


def add_master_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the search for faces that open most phones."""
    _add_model_arguments(parser)
    parser.add_argument("--faces", type=int, default=MASTER_FACES, metavar="N", help="to make at most (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of trial and selection (default %(default)s)")


def add_controversial_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of pairs on which two recognisers part."""
    generators, recognisers = registry.list_names("generator"), registry.list_names("recogniser")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write; must be new or empty")
    parser.add_argument(
        "--recognisers",
        nargs=2,
        default=recognisers[:2],
        metavar="NAME",
        help=f"two of {', '.join(recognisers)} (default the first)",
    )
    parser.add_argument("--count", type=int, default=24, metavar="N", help="pairs, half of them each way (default %(default)s)")
    parser.add_argument(
        "--margin", type=float, default=0.1, metavar="X", help="to be sure by, a share of a limit (default %(default)s)"
    )
    parser.add_argument("--limits", type=float, nargs=2, metavar="X", help="distances (default: those that the pages open at)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="default %(default)s")
    parser.add_argument(
        "--generator", default=registry.default_generator("identity"), metavar="NAME", help=f"one of {', '.join(generators)}"
    )


def run_impostor(arguments: argparse.Namespace) -> int:
    """Search, write the folder, say who got in."""
    _check_owner_arguments(arguments)
    check_whole("--searches", arguments.searches, 1, 1000)
    check_whole("--iterations", arguments.iterations, 1, 100_000)
    population = load_population(arguments.generator, judged_by=arguments.recogniser)
    from core.sampling.impostor import find_impostors  # PyTorch, only once the arguments are known to be good

    with TerminalProgress() as terminal:
        progress = Progress(terminal)
        progress.stage("Loading the networks", 0.0)
        generator, judges = _load_models(arguments)
        guard = judges[arguments.recogniser]
        threshold = guard.threshold if arguments.threshold is None else arguments.threshold
        latent, picture = _make_owner(arguments, generator)
        descriptors = {name: _embed_picture(picture, judge) for name, judge in judges.items()}
        if not np.isfinite(descriptors[guard.name]).all():
            raise LiminalError(f"{guard.card.title} finds no face in the owner's picture; choose another --base or --seed.")
        scores = score_population(population, descriptors, guard.name)
        impostors = find_impostors(
            picture,
            {name: descriptors[name] for name in scores.distances},
            [int(population.seeds[index]) for index in scores.choose_starts(arguments.searches)],
            generator=arguments.generator,
            recogniser=arguments.recogniser,
            threshold=threshold,
            iterations=arguments.iterations,
            progress=progress,
        )
        progress.stage("Done", 1.0)
    pictures, latents, rows = {"owner.png": picture}, {"owner": latent}, []
    for number, impostor in enumerate(impostors, 1):
        image, start = f"impostor-{number}.png", f"start-{number}.png"
        pictures |= {image: impostor.image, start: impostor.start}
        latents[f"impostor-{number}"] = impostor.latent
        row = {"image": image, "start": start, "start_seed": impostor.seed, "lpips": impostor.lpips}
        rows.append(row | _make_verdicts(impostor.distances, judges, guard.name, threshold))
    settings = {"threshold": threshold, "searches": len(impostors), "iterations": arguments.iterations}
    _write_result(arguments, settings, pictures, latents, rows, [generator, *judges.values()])
    accepted = sum(impostor.accepted for impostor in impostors)
    searches = count_noun(len(impostors), "search", "searches")
    limit = _describe_limit(arguments, threshold)
    print(f"{accepted} of {searches} got in at {limit} ({guard.card.title}); pictures in {arguments.out}")
    for row in rows:
        print(f"  {row['image']}: {_describe_verdicts(row, judges)}; looks different by {row['lpips']:.2f} (LPIPS)")
    return 0


def run_lockout(arguments: argparse.Namespace) -> int:
    """Search, write the folder, say which change locks the owner out."""
    _check_owner_arguments(arguments)
    from core.sampling.lockout import find_lockout  # PyTorch, only once the arguments are known to be good

    with TerminalProgress() as terminal:
        progress = Progress(terminal)
        progress.stage("Loading the networks", 0.0)
        generator, judges = _load_models(arguments)
        guard = judges[arguments.recogniser]
        threshold = guard.threshold if arguments.threshold is None else arguments.threshold
        latent, picture = _make_owner(arguments, generator)
        lockout = find_lockout(latent, arguments.generator, arguments.recogniser, threshold, progress)
        progress.stage("Done", 1.0)
    smallest = lockout.search.smallest
    pictures, latents = {"owner.png": picture}, {"owner": latent}
    settings: dict[str, Any] = {"threshold": threshold, "largest": lockout.search.largest, "smallest": None}
    if smallest is not None:
        pictures["lockout.png"], latents["lockout"] = smallest.picture, smallest.step.latent
        verdicts = _make_verdicts(lockout.distances, judges, guard.name, threshold)
        settings["smallest"] = {"change": smallest.step.label, "step": smallest.step.step, "image": "lockout.png", **verdicts}
    rows = [
        {"change": step.label, "step": step.step, "distance": _to_json(step.distance), "accepted": _judge(step.distance, threshold)}
        for step in lockout.search.swept
    ]
    _write_result(arguments, settings, pictures, latents, rows, [generator, *judges.values()])
    changes = count_noun(len({step.label for step in lockout.search.swept}), "change")
    limit = _describe_limit(arguments, threshold)
    if smallest is None:
        print(f"None of {changes} of looks up to {lockout.search.largest:g} locks the owner out at {limit}.")
    else:
        print(f"The least of {changes} that locks out at {limit}: {smallest.step.words}, by {smallest.step.step:.3f}")
        print(f"  lockout.png: {_describe_verdicts(settings['smallest'], judges)}")
    print(f"Pictures in {arguments.out}")
    return 0


def _describe_limit(arguments: argparse.Namespace, threshold: float) -> str:
    """The distance, and where none was asked for what it is: pages begin at a stricter one, where that was calibrated."""
    if arguments.threshold is not None:
        return f"{threshold:g}"
    try:
        opening = load_thresholds(arguments.generator, arguments.recogniser).opening
    except LiminalError:
        return f"{threshold:g}, as delivered"
    return f"{threshold:g}, as delivered; the pages begin at {opening:.3f} (--threshold {opening:.3f})"


def run_master(arguments: argparse.Namespace) -> int:
    """Search, write the folder, say how many phones the faces open, beside the best among strangers."""
    _check_model_arguments(arguments)
    check_whole("--faces", arguments.faces, 1, 100)
    check_whole("--seed", arguments.seed, 0, 2**63 - 1)
    population = load_population(arguments.generator, judged_by=arguments.recogniser)
    threshold = arguments.threshold
    if threshold is None:
        threshold = load_thresholds(arguments.generator, arguments.recogniser).opening
    strangers = pick_masters(population, arguments.recogniser, threshold, count=arguments.faces)
    from core.sampling.master_search import search_masters  # PyTorch, only once the arguments are known to be good

    with TerminalProgress() as terminal:
        found = search_masters(
            population, arguments.recogniser, threshold, count=arguments.faces, seed=arguments.seed, progress=Progress(terminal)
        )
    pictures, latents, rows = {}, {}, []
    for number, (picture, latent) in enumerate(zip(found.pictures, found.latents, strict=True), 1):
        image, share = f"master-{number}.png", found.faces.share(number)
        pictures[image], latents[f"master-{number}"] = picture, latent
        rows.append({"image": image, "opened_together": share.share, "low": share.low, "high": share.high, "owners": share.judged})
    best = strangers.share(len(strangers.rows))
    settings = {
        "threshold": threshold,
        "strangers_together": {"faces": len(strangers.rows), "opened": best.share, "low": best.low, "high": best.high},
        "seeds_of_strangers": [int(population.seeds[row]) for row in strangers.rows],
    }
    models = registry.load(arguments.generator, "generator"), registry.load(arguments.recogniser, "recogniser")
    _write_result(arguments, settings, pictures, latents, rows, models)
    title, one = registry.title(arguments.recogniser), found.faces.share(1)
    print(f"{title} at {threshold:.3f}, counted on {one.judged:,} owners who had no part in the search:")
    for words, faces in (("searched", found.faces), ("strangers", strangers)):
        shares = [f"{count_noun(count, 'face')} {_describe_share(faces.share(count))}" for count in sorted({1, len(faces.rows)})]
        print(f"  {words:<10} open {', '.join(shares)}")
    print(f"Pictures in {arguments.out}. These people are generated: nothing of this is proof about real people.")
    return 0


def run_controversial(arguments: argparse.Namespace) -> int:
    """Make the pairs, save them as a sample set, say how sure the two recognisers are."""
    registry.find_entry(arguments.generator, "generator")
    for name in arguments.recognisers:
        registry.find_entry(name, "recogniser")
    check_whole("--count", arguments.count, 1, MOST_CONTROVERSIAL)
    check_number("--margin", arguments.margin, 0.0, 1.0)
    for limit in arguments.limits or ():
        check_number("--limits", limit, 1e-6, 1e3)
    check_whole("--seed", arguments.seed, 0, 2**63 - 1)
    with name_flags({"recognisers": "--recognisers"}):
        configuration = configure_controversial(arguments.generator, arguments.recognisers, seed=arguments.seed)
    check_folder_is_free(arguments.out)
    population = load_population(arguments.generator)
    given = arguments.limits or [load_thresholds(arguments.generator, name).opening for name in arguments.recognisers]
    from core.sampling.controversial_pairs import generate_controversial_pairs  # PyTorch, only once the arguments are good

    with TerminalProgress() as terminal:
        made = generate_controversial_pairs(
            configuration,
            population,
            dict(zip(arguments.recognisers, given, strict=True)),
            count=arguments.count,
            margin=arguments.margin,
            progress=Progress(terminal),
        )
    made.save(arguments.out)
    found = made.manifest["controversial"]
    titles = " and ".join(f"{registry.title(name)} at {limit:g}" for name, limit in found["limits"].items())
    print(f"{found['kept']} of {count_noun(arguments.count, 'pair')} part {titles} by {100 * arguments.margin:g} % of the limits:")
    for record in found["pairs"][:5]:
        margin = "no face found" if record["margin"] is None else f"margin {100 * record['margin']:.0f} %"
        print(f"  {registry.title(record['says_same'])} says the same person, {margin}")
    print(f"All of them in {arguments.out}; 'python -m core study make --set {arguments.out} --name NAME' asks people.")
    return 0


def _describe_share(share: AcceptanceShare) -> str:
    return f"{100 * share.share:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _check_owner_arguments(arguments: argparse.Namespace) -> None:
    """Raises LiminalError for what makes no sense. Imports no torch."""
    _check_model_arguments(arguments)
    if arguments.base is not None:
        find_gallery_base(arguments.generator, arguments.base)
    else:
        check_whole("--seed", arguments.seed, 0, 2**63 - 1)


def _check_model_arguments(arguments: argparse.Namespace) -> None:
    registry.find_entry(arguments.generator, "generator")
    registry.find_entry(arguments.recogniser, "recogniser")
    if arguments.threshold is not None:
        check_number("--threshold", arguments.threshold, 1e-6, 1e3)
    check_folder_is_free(arguments.out)


def _load_models(arguments: argparse.Namespace) -> tuple[Generator, dict[str, Recogniser]]:
    """The generator, and every usable recogniser by name, the one on guard first."""
    names = registry.list_usable("recogniser", arguments.recogniser)
    return registry.load(arguments.generator, "generator"), {name: registry.load(name, "recogniser") for name in names}


def _make_owner(arguments: argparse.Namespace, generator: Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The owner's latent (d,) and picture (H, W, 3)."""
    if arguments.base is not None:
        latent = torch.from_numpy(find_gallery_base(arguments.generator, arguments.base).latent)
    else:
        latent = generator.sample([arguments.seed])[0]
    with torch.inference_mode():
        return latent.numpy().copy(), to_pictures(generator.decode(latent[None]))[0]


def _embed_picture(picture: NDArray[np.uint8], recogniser: Recogniser) -> NDArray[np.float32]:
    vector: NDArray[np.float32] = recogniser.embed(to_images(picture[None]))[0].cpu().numpy()
    return vector


def _judge(distance: float, threshold: float) -> bool | None:
    """Whether a face is accepted; None where no face was found."""
    return distance < threshold if math.isfinite(distance) else None


def _to_json(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _make_verdicts(
    distances: Mapping[str, float], judges: Mapping[str, Recogniser], guard: str, threshold: float
) -> dict[str, float | bool | None]:
    """distance_<name> and accepted_<name> of every recogniser: the guard at the threshold in force, the others at their own."""
    verdicts: dict[str, float | bool | None] = {}
    for name, distance in distances.items():
        verdicts[f"distance_{name}"] = _to_json(distance)
        verdicts[f"accepted_{name}"] = _judge(distance, threshold if name == guard else judges[name].threshold)
    return verdicts


def _describe_verdicts(row: Mapping[str, Any], judges: Mapping[str, Recogniser]) -> str:
    words = {True: "accepts it", False: "refuses it", None: "finds no face"}
    parts = []
    for name, judge in judges.items():
        if f"accepted_{name}" in row:
            distance = row[f"distance_{name}"]
            parts.append(
                f"{judge.card.title} {words[row[f'accepted_{name}']]}" + ("" if distance is None else f" at {distance:.2f}")
            )
    return ", ".join(parts)


def _write_result(
    arguments: argparse.Namespace,
    settings: Mapping[str, Any],
    pictures: Mapping[str, NDArray[np.uint8]],
    latents: Mapping[str, NDArray[np.float32]],
    rows: Sequence[Mapping[str, Any]],
    models: Iterable[Generator | Recogniser],
) -> None:
    """The folder, whole or not at all."""
    models = list(models)
    record = {
        "kind": arguments.kind,
        "generator": arguments.generator,
        "recogniser": arguments.recogniser,
        "base": getattr(arguments, "base", None),
        "seed": arguments.seed,
        **settings,
        "results": list(rows),
        **describe_provenance((model.card for model in models), models[0].device, PACKAGES),
    }
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with new_folder(arguments.out) as folder:
        for name, picture in pictures.items():
            (folder / name).write_bytes(encode_png(picture))
        write_arrays(folder / LATENTS_FILE, latents)
        (folder / TABLE_FILE).write_text(table.getvalue(), encoding="utf-8")
        (folder / RESULT_FILE).write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")

"""Add a model: fetch it, validate its options, load it, check it, and only then put it on the list."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.checking import CheckReport, check_model
from core.models.custom.catalogue import CustomModel, find_class, find_code, list_custom_models, save_custom_model
from core.models.custom.sources import fetch_source
from core.models.device import choose_device
from core.progress import Progress

if TYPE_CHECKING:
    import torch
else:  # loaded with the model
    torch = lazy_import("torch")

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")


@dataclass(frozen=True)
class AddedModel:
    """The added model and the report of its check."""

    custom: CustomModel
    report: CheckReport


def add_model(
    name: str,
    class_name: str,
    source: str,
    *,
    options: Mapping[str, Any] | None = None,
    title: str = "",
    weights_licence: str = "",
    data_licence: str = "",
    replaces: bool = False,
    device: str | None = None,
    progress: Progress | None = None,
) -> AddedModel:
    """Add a model under a name. Nothing is stored where anything is wrong with it.

    Raises LiminalError with the first thing that is: the name, the source, an option, a key of the weights, or the contract.
    """
    progress = progress or Progress()
    described = find_class(class_name)
    _check_name(name, replaces)
    unknown = next((option for option in options or {} if option not in described.options), None)
    if unknown is not None:
        names = ", ".join(described.options) or "none"
        raise LiminalError(f"A model of class {class_name} has no option '{unknown}'; its options are: {names}.")
    code = find_code(described.module)
    progress.stage(f"Looking for {source}", 0.05)
    # some sources are names that a library knows: then the class itself looks for the files
    fetched = code.find_source(source) if hasattr(code, "find_source") else fetch_source(source)
    custom = CustomModel(
        name=name,
        model_class=class_name,
        source=fetched.source,
        options=dict(options or {}),
        title=title or f"{described.title} ({name})",
        revision=fetched.revision,
        files=fetched.files,
        weights_licence=weights_licence or fetched.licence,
        data_licence=data_licence,
        added=dt.datetime.now(dt.UTC).date().isoformat(),
    )
    if hasattr(code, "validate_options"):
        custom = replace(custom, options=code.validate_options(custom, fetched.root))
    progress.stage(f"Loading {custom.title}", 0.4)
    custom, report = _load_and_check(custom, device, progress)
    if report.findings:
        raise LiminalError(f"'{name}' was not added, because it does not keep to its contract: {report.findings[0]}")
    save_custom_model(custom)
    progress.stage(f"Added {custom.title}", 1.0)
    return AddedModel(custom, report)


def _check_name(name: str, replaces: bool) -> None:
    if not NAME_PATTERN.match(name):
        raise LiminalError(f"'{name}' cannot be a model's name; use up to 40 small letters, digits and hyphens, such as ffhq-1024.")
    if any(entry.name == name for entry in registry.ENTRIES):
        raise LiminalError(f"'{name}' is a built-in model; choose another name.")
    if not replaces and any(model.name == name for model in list_custom_models()):
        raise LiminalError(
            f"A model called '{name}' was added before; choose another name, remove that one first, or add yours with --replace."
        )


def _load_and_check(custom: CustomModel, device: str | None, progress: Progress) -> tuple[CustomModel, CheckReport]:
    with torch.inference_mode(False):
        model = registry.load_anew(registry.custom_entry(custom), choose_device(device))
    progress.stage(f"Checking {custom.title}", 0.6)
    names = ("threshold", "threshold_source", "metric", "differentiable", "latent_dim", "image_size", "embedding_dim")
    facts = {name: getattr(model, name) for name in names if hasattr(model, name)}
    return replace(custom, facts=facts), check_model(model)

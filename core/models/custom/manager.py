"""Add a model: fetch it, validate its options, load it, check it, and only then put it on the list."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.errors import LiminalError
from core.models import registry
from core.models.custom.catalogue import CustomModel, find_class, find_code, list_custom_models, save_custom_model
from core.models.custom.sources import fetch_source
from core.progress import Progress

if TYPE_CHECKING:
    from core.models.checking import CheckReport

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")


@dataclass(frozen=True)
class AddedModel:
    """What was put on the list, and how it did in its check."""

    own: CustomModel
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
    """Add a model under a name. Nothing is kept where anything is wrong with it.

    Raises LiminalError with the first thing that is: the name, the source, an option, a key of the weights, or the contract.
    """
    progress = progress or Progress()
    described = find_class(class_name)
    _check_name(name, replaces)
    unknown = next((each for each in options or {} if each not in described.options), None)
    if unknown is not None:
        known = ", ".join(described.options) or "none"
        raise LiminalError(f"A model of class {class_name} has no option '{unknown}'; its options are: {known}.")
    code = find_code(described.module)
    progress.stage(f"Looking for {source}", 0.05)
    # some sources are no files but names that a library knows, so that the class itself looks for them
    fetched = code.find_source(source) if hasattr(code, "find_source") else fetch_source(source)
    own = CustomModel(
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
        own = replace(own, options=code.validate_options(own, fetched.root))
    progress.stage(f"Loading {own.title}", 0.4)
    own, report = _load_and_check(own, device, progress)
    if report.findings:
        raise LiminalError(f"'{name}' was not added, because it does not keep to its contract: {report.findings[0]}")
    save_custom_model(own)
    progress.stage(f"Added {own.title}", 1.0)
    return AddedModel(own, report)


def _check_name(name: str, replaces: bool) -> None:
    if not NAME_PATTERN.match(name):
        raise LiminalError(f"'{name}' cannot be a model's name; use up to 40 small letters, digits and hyphens, such as ffhq-1024.")
    if any(entry.name == name for entry in registry.ENTRIES):
        raise LiminalError(f"'{name}' is a built-in model; choose another name.")
    if not replaces and any(each.name == name for each in list_custom_models()):
        raise LiminalError(f"A model called '{name}' was added before; choose another name, or say that it is to be replaced.")


def _load_and_check(own: CustomModel, device: str | None, progress: Progress) -> tuple[CustomModel, CheckReport]:
    import torch

    from core.models.checking import check_model
    from core.models.device import choose_device

    with torch.inference_mode(False):
        model = registry.load_anew(registry.custom_entry(own), choose_device(device))
    progress.stage(f"Checking {own.title}", 0.6)
    known = ("threshold", "threshold_source", "metric", "differentiable", "latent_dim", "image_size", "embedding_dim")
    facts = {name: getattr(model, name) for name in known if hasattr(model, name)}
    return replace(own, facts=facts), check_model(model)

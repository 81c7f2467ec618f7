"""A network of transformers out of a folder, strictly: nothing missing, nothing of another shape, nothing that runs code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from core.errors import LiminalError
from core.models.own.tensors import refuse_nan


def read_pretrained(network_class: Any, root: Path, **more: Any) -> Any:
    """The network, in float32 unless ``more`` says otherwise; an argument that is None is not given.

    Raises LiminalError that names the first key that is missing, of another shape or not finite.
    """
    _without_bars(network_class)
    asked = {"trust_remote_code": False, "dtype": torch.float32} | more
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        network, told = network_class.from_pretrained(
            root, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True, **given
        )
    except Exception as error:  # damaged files, code in pickles and other architectures raise many kinds
        reason = str(error).split("\n")[0][:200].rstrip(".")
        raise LiminalError(
            f"The weights in {root} cannot be loaded ({type(error).__name__}: {reason}); choose another model."
        ) from error
    for what, keys in (("are of another shape at", told["mismatched_keys"]), ("lack", told["missing_keys"])):
        first = min((key if isinstance(key, str) else key[0] for key in keys), default=None)
        if first is not None:
            raise LiminalError(f"The weights in {root.name} {what} '{first}'; they belong to another network.")
    refuse_nan(network.state_dict(), root)
    return network


def _without_bars(network_class: Any) -> None:
    """Pages and commands show their own bars; the terminal gets none of the libraries'."""
    import transformers.utils.logging

    quiet: Any = transformers.utils.logging.disable_progress_bar
    quiet()
    if network_class.__module__.partition(".")[0] == "diffusers":
        import diffusers.utils.logging

        quiet = diffusers.utils.logging.disable_progress_bar
        quiet()

"""The cards of added models: what all of them have in common."""

from __future__ import annotations

from core.models.contracts import NOT_FOR, ModelCard
from core.models.own.classes import model_class
from core.models.own.listing import OwnModel
from core.models.own.sources import weight_files
from core.models.weights import WeightFile

NOT_STATED = "not stated"


def added_card(
    own: OwnModel,
    source: str,
    *,
    input_size: int = 0,
    weights_licence: str = NOT_STATED,
    data_licence: str = NOT_STATED,
    not_for: str = "",
    files: tuple[WeightFile, ...] | None = None,
) -> ModelCard:
    """The card of an added model; when it was added is said behind its ``source``.

    input_size: 0 where only the weights tell. The licences are those that hold where whoever added it named none.
    not_for: beside what no model of its kind is for (NOT_FOR). files: None for those of its source.
    """
    kind = model_class(own.model_class).kind
    return ModelCard(
        name=own.name,
        title=own.title,
        kind=kind,
        source=f"{source}; added on {own.added}",
        weights_licence=own.weights_licence or weights_licence,
        data_licence=own.data_licence or data_licence,
        input_size=input_size,
        not_for=f"{NOT_FOR[kind]}; {not_for}" if not_for else NOT_FOR[kind],
        files=weight_files(own) if files is None else files,
    )


def outputs_read(own: OwnModel) -> str:
    """Which output of an added classifier stands for which emotion, in words for its card."""
    outputs = ", ".join(f"{emotion} {number}" for emotion, number in own.options.get("labels", {}).items())
    return f"outputs read as {outputs}"

"""Check a model against its contract, and describe every installed model.

``check_model`` is the sanity check that whoever adds a model runs (``core.models.check``): shapes, ranges, determinism,
independence of neighbouring rows, gradients (``contracts``). ``describe_all_models`` reads every model's source, licences, size and
state of its files without loading it; ``try_out`` loads one model and checks it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.contracts import (
    SPEED_UNITS,
    Classifier,
    Decoder,
    DescriptorSurrogate,
    DetectedFaces,
    Encoder,
    Generator,
    PerceptualDistance,
    Prior,
    Recogniser,
    Surrogate,
)
from core.models.custom.catalogue import CLASS_ORDERS, find_code
from core.models.device import choose_device
from core.models.emotions import EMOTIONS

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:  # imported by pages that paint before PyTorch is there
    torch = lazy_import("torch")

AnyModel = Generator | Recogniser | Classifier | PerceptualDistance | Encoder | Prior | Decoder | Surrogate

CHECK_IMAGES = 5
"""Images looked at: more than one chunk of most models, and not a multiple of one."""

MAX_ROUNDING = 1e-5
"""How far a sum of probabilities may be from one, or the distance of equal vectors from zero."""


@dataclass(frozen=True)
class CheckReport:
    """What a check found. ``findings`` are the breaches, one sentence each; none means that the contract is kept."""

    name: str
    findings: tuple[str, ...]
    milliseconds: float  # of the model's main function for one row, in a batch of CHECK_IMAGES, on the model's device
    unit: str = "an image"  # what a row is

    @property
    def passed(self) -> bool:
        return not self.findings

    @property
    def speed(self) -> str:
        """The measured time in words, such as "12.3 ms an image"."""
        return f"{self.milliseconds:.1f} ms {self.unit}"


@dataclass
class _ContractCheck:
    """Collects breaches. An exception in one step is a finding too, and the next step still runs."""

    findings: list[str] = field(default_factory=list)
    milliseconds: float = math.nan

    def expect(self, holds: bool | Tensor, breach: str) -> None:
        if not bool(holds):
            self.findings.append(breach)

    def step(self, what: str, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as error:  # whatever a model raises is reported, not passed on
            self.findings.append(f"{what} fails with {type(error).__name__}: {error}.")

    def rows(self, what: str, function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """Check what holds for every function of rows: deterministic, independent of neighbours and order, no rows for no rows."""
        results = function(inputs)
        start = time.perf_counter()
        again = function(inputs)
        if math.isnan(self.milliseconds):
            self.milliseconds = (time.perf_counter() - start) * 1000 / len(inputs)
        self.expect(len(results) == len(inputs), f"{what} gives {len(results)} rows for {len(inputs)}.")
        self.expect(_equal_bytes(results, again), f"{what} is not deterministic: the second call gives other values.")
        alone = torch.cat([function(inputs[i : i + 1]) for i in range(len(inputs))])
        self.expect(_equal_bytes(results, alone), f"{what} depends on the neighbours: a row alone gives other bytes.")
        self.expect(_equal_bytes(results, function(inputs.flip(0)).flip(0)), f"{what} depends on the order of the rows.")
        self.expect(len(function(inputs[:0])) == 0, f"{what} gives rows where none were asked for.")
        return results

    def gradient(self, what: str, function: Callable[[Tensor], Tensor], inputs: Tensor) -> None:
        """Check the gradient that the contract promises: it exists, is finite and not zero everywhere."""
        with torch.enable_grad():
            moving = inputs.detach().clone().requires_grad_(True)
            result = function(moving)
            self.expect(result.requires_grad, f"{what} has no gradient.")
            if result.requires_grad:
                (slope,) = torch.autograd.grad(result.square().sum(), moving)
                self.expect(torch.isfinite(slope).all(), f"{what} has a gradient that is not finite.")
                self.expect(slope.abs().max() > 0, f"{what} has a gradient of zero everywhere.")


def check_model(model: AnyModel) -> CheckReport:
    """Run a model on a few generated faces and a blank image, and report every breach of its contract. Takes seconds, no
    network."""
    check = _ContractCheck()
    with torch.no_grad():
        if isinstance(model, Generator):
            _check_generator(check, model)
        elif isinstance(model, Recogniser):
            _check_recogniser(check, model, _generate_faces(model.device))
        elif isinstance(model, Classifier):
            _check_classifier(check, model, _generate_faces(model.device))
        elif isinstance(model, Encoder | Prior | Decoder | Surrogate):
            _check_vectors(check, model)
        else:
            _check_distance(check, model, _generate_faces(model.device))
    return CheckReport(model.card.name, tuple(check.findings), check.milliseconds, SPEED_UNITS[model.card.kind])


def _generate_faces(device: torch.device) -> Tensor:
    """Faces of a generator -> (CHECK_IMAGES, 3, H, W)."""
    generator = registry.load(registry.default_generator("emotion"), "generator", str(device))
    return generator.decode(generator.sample(range(CHECK_IMAGES)))


def _equal_bytes(a: Tensor, b: Tensor) -> bool:
    """Equal to the byte, where NaN equals NaN."""
    return a.shape == b.shape and torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(), b.nan_to_num())


def _check_generator(check: _ContractCheck, model: Generator) -> None:
    latents = torch.empty(0)

    def sampling() -> None:
        nonlocal latents
        latents = model.sample(range(CHECK_IMAGES))
        check.expect(
            latents.shape == (CHECK_IMAGES, model.latent_dim), f"sample gives {tuple(latents.shape)}, not (N, latent_dim)."
        )
        check.expect(latents.dtype == torch.float32, f"sample gives {latents.dtype}, not float32.")
        check.expect(torch.equal(model.sample([3, 1]), latents[[3, 1]]), "sample depends on more than each row's own seed.")
        check.expect(not torch.equal(latents[0], latents[1]), "sample gives the same latents for different seeds.")

    def decoding() -> None:
        images = check.rows("decode", model.decode, latents)
        expected = (CHECK_IMAGES, 3, model.image_size, model.image_size)
        check.expect(images.shape == expected, f"decode gives {tuple(images.shape)}, not {expected}.")
        check.expect(torch.isfinite(images).all(), "decode gives values that are not finite.")
        _expect_range(check, "decode", images)
        check.expect((images - images[:1]).abs().max() > 0.05, "decode gives the same image for different latents.")

    check.step("sample", sampling)
    check.step("decode", decoding)
    if model.differentiable:
        check.step("decode with a gradient", lambda: check.gradient("decode", model.decode, latents[:2]))


def _check_recogniser(check: _ContractCheck, model: Recogniser, images: Tensor) -> None:
    blank = torch.zeros_like(images[:1])
    batch = torch.cat([images, blank])

    def embedding() -> None:
        vectors = check.rows("embed", model.embed, batch)
        expected = (len(batch), model.embedding_dim)
        check.expect(vectors.shape == expected, f"embed gives {tuple(vectors.shape)}, not {expected}.")
        faces = model.find_faces(batch)
        has_face = faces.found.to(vectors.device)
        check.expect(has_face[:CHECK_IMAGES].any(), f"find_faces finds no face in any of {CHECK_IMAGES} generated faces.")
        check.expect(not has_face[CHECK_IMAGES], "find_faces finds a face in a blank image.")
        check.expect(torch.isfinite(vectors[has_face]).all(), "embed gives values that are not finite where there is a face.")
        check.expect(vectors[~has_face].isnan().all(), "embed gives something else than NaN where no face was found.")
        chips = model.align(batch, faces)
        side = model.card.input_size
        check.expect(chips.shape == (len(batch), 3, side, side), f"align gives {tuple(chips.shape)}, not (N, 3, {side}, {side}).")
        _expect_range(check, "align", chips)

    def distances() -> None:
        vectors = model.embed(batch)
        same, others = model.distance(vectors, vectors), model.distance(vectors[:1], vectors)
        finite = ~vectors.isnan().any(dim=1)
        check.expect(same.shape == (len(batch),), f"distance gives {tuple(same.shape)}, not (N,).")
        check.expect((same[finite].abs() <= MAX_ROUNDING).all(), "distance of a vector to itself is not 0.")
        check.expect(same[~finite].isnan().all(), "distance is not NaN where no face was found.")
        check.expect((others[finite] >= 0).all(), "distance is negative.")
        check.expect(
            (others - model.distance(vectors, vectors[:1])).nan_to_num().abs().max() <= MAX_ROUNDING, "distance is not symmetric."
        )
        check.expect(math.isfinite(model.threshold) and model.threshold > 0, "The threshold is no positive number.")
        check.expect(bool(model.threshold_source), "threshold_source does not say where the threshold comes from.")

    def gradients() -> None:
        faces = model.find_faces(images)
        rows = faces.found.nonzero()[:1, 0]
        one = DetectedFaces(faces.landmarks[rows], faces.boxes[rows])
        check.gradient("embed_chips of align", lambda x: model.embed_chips(model.align(x, one)), images[rows.to(images.device)])

    check.step("embed", embedding)
    check.step("distance", distances)
    if model.differentiable:
        check.step("embed_chips with a gradient", gradients)


def _check_classifier(check: _ContractCheck, model: Classifier, images: Tensor) -> None:
    batch = torch.cat([images, torch.zeros_like(images[:1])])

    def judging() -> None:
        probabilities = check.rows("probabilities", model.probabilities, batch)
        logits = check.rows("logits", model.logits, batch)
        expected = (len(batch), len(EMOTIONS))
        for name, values in (("probabilities", probabilities), ("logits", logits)):
            check.expect(values.shape == expected, f"{name} gives {tuple(values.shape)}, not {expected}.")
            check.expect(torch.isfinite(values).all(), f"{name} gives values that are not finite.")
        _expect_range(check, "probabilities", probabilities)
        check.expect(((probabilities.sum(dim=1) - 1).abs() <= MAX_ROUNDING).all(), "probabilities do not sum to one.")
        check.expect((probabilities - probabilities[:1]).abs().max() > 1e-3, "probabilities are the same for all images.")

    check.step("probabilities", judging)
    if model.differentiable:
        check.step("logits with a gradient", lambda: check.gradient("logits", model.logits, images[:2]))


def _check_vectors(check: _ContractCheck, model: Encoder | Prior | Decoder | Surrogate) -> None:
    """Check a model of embeddings or latents: shapes, independence of rows, and a gradient where the contract promises one."""
    random = torch.Generator().manual_seed(0)
    function: Callable[[Tensor], Tensor]
    shape: tuple[int, ...]

    def normal(size: int) -> Tensor:
        return torch.randn(CHECK_IMAGES, size, generator=random)

    if isinstance(model, Encoder):
        what, function, inputs, shape = "embed", model.embed, _generate_faces(model.device), (CHECK_IMAGES, model.embedding_dim)
    elif isinstance(model, Prior):
        what, inputs, shape = "noise", normal(model.embedding_dim), (CHECK_IMAGES, model.embedding_dim)
        function = lambda rows: model.noise(rows, torch.full((len(rows),), model.train_steps // 2))  # noqa: E731
    elif isinstance(model, Decoder):
        what, inputs, shape = "latents", normal(model.embedding_dim), (CHECK_IMAGES, model.latent_dim)
        function = lambda rows: model.latents(rows, [round(1e6 * abs(float(row[0]))) for row in rows])  # noqa: E731
    else:
        what, function, inputs = "logits", model.logits, normal(model.latent_dim)
        shape = (CHECK_IMAGES, len(model.classifiers), len(EMOTIONS))

    def values() -> None:
        results = check.rows(what, function, inputs)
        check.expect(tuple(results.shape) == shape, f"{what} gives {tuple(results.shape)}, not {shape}.")
        check.expect(torch.isfinite(results).all(), f"{what} gives values that are not finite.")
        check.expect((results - results[:1]).abs().max() > 1e-3, f"{what} gives the same for different rows.")

    check.step(what, values)
    if not isinstance(model, Decoder):
        check.step(f"{what} with a gradient", lambda: check.gradient(what, function, inputs[:2]))
    if isinstance(model, DescriptorSurrogate):
        for recogniser in model.recognisers:
            _check_predicted_descriptors(check, model, recogniser, inputs)


def _check_predicted_descriptors(check: _ContractCheck, model: DescriptorSurrogate, recogniser: str, latents: Tensor) -> None:
    def predict(rows: Tensor) -> Tensor:
        return model.descriptors(rows, recogniser)

    def values() -> None:
        results = check.rows(f"descriptors of {recogniser}", predict, latents)
        shape = (len(latents), registry.load(recogniser, "recogniser", str(model.device)).embedding_dim)
        check.expect(
            tuple(results.shape) == shape, f"descriptors of {recogniser} have the shape {tuple(results.shape)}, not {shape}."
        )
        check.expect(torch.isfinite(results).all(), f"descriptors of {recogniser} have values that are not finite.")

    check.step(f"descriptors of {recogniser}", values)
    check.step(f"{recogniser} with a gradient", lambda: check.gradient(f"descriptors of {recogniser}", predict, latents[:2]))


def _check_distance(check: _ContractCheck, model: PerceptualDistance, images: Tensor) -> None:
    blank = torch.zeros_like(images[:1])
    batch = torch.cat([images, blank])

    def measuring() -> None:
        against = check.rows("distance", lambda rows: model.distance(rows, images[:1].expand_as(rows)), batch)
        check.expect(against.shape == (len(batch),), f"distance gives {tuple(against.shape)}, not (N,).")
        check.expect(torch.isfinite(against).all(), "distance gives values that are not finite.")
        check.expect((model.distance(batch, batch).abs() <= MAX_ROUNDING).all(), "distance of an image to itself is not 0.")
        check.expect((against[1:] > 0).all(), "distance of different images is not positive.")
        turned = model.distance(images[:1].expand_as(batch), batch)
        check.expect((against - turned).abs().max() <= MAX_ROUNDING, "distance is not symmetric.")

    check.step("distance", measuring)
    check.step(
        "distance with a gradient", lambda: check.gradient("distance", lambda rows: model.distance(rows, images[2:4]), images[:2])
    )


def _expect_range(check: _ContractCheck, what: str, values: Tensor) -> None:
    low, high = float(values.min()), float(values.max())
    # A rounding beyond the ends is no breach: bilinear sampling of ones may give 1.0000001.
    check.expect(low >= -1e-6 and high <= 1 + 1e-6, f"{what} leaves the range [0, 1]: from {low:.4g} to {high:.4g}.")


@dataclass(frozen=True)
class ModelDescription:
    """A model according to its card and files, without loading it. ``problem``: why it cannot be used, in one sentence."""

    source: str
    weights_licence: str
    data_licence: str
    not_for: str
    bytes_on_disk: int
    problem: str = ""
    bytes_in_memory: int = 0  # of the loaded model; 0 where it is not loaded or holds no tensors
    device: str = "cpu"  # the default one of this machine
    outputs: Mapping[int, str] = field(default_factory=dict)  # of an added classifier whose labels can be corrected


@dataclass(frozen=True)
class TryoutResult:
    """A model loaded and checked. ``findings``: breaches of its contract, or the reason why it could not be loaded."""

    findings: tuple[str, ...]
    milliseconds: float  # of one row; NaN where it could not be loaded
    bytes_in_memory: int
    device: str
    unit: str = "an image"  # what a row is


def describe_model(entry: registry.Entry) -> ModelDescription:
    """The model of an entry: its card, and the state of its files, which are hashed."""
    try:
        card = registry.read_card(entry)
    except LiminalError as error:
        return ModelDescription(entry.custom.source if entry.custom else "", "", "", "", 0, str(error))
    size, problem = 0, ""
    for file in card.files:
        try:
            size += file.verified().stat().st_size
        except LiminalError as error:
            problem = problem or str(error)
    loaded = registry.find_loaded(entry)
    memory = 0 if loaded is None else count_bytes(loaded)
    outputs = {} if problem else _read_outputs(entry)
    return ModelDescription(
        card.source, card.weights_licence, card.data_licence, card.not_for, size, problem, memory, str(choose_device()), outputs
    )


def _read_outputs(entry: registry.Entry) -> dict[int, str]:
    """Output number -> label of an added classifier, where its class knows them; else empty."""
    if entry.custom is None or "labels" not in entry.custom.options:
        return {}
    code = find_code(entry.module)
    if not hasattr(code, "list_outputs"):
        return dict(enumerate(CLASS_ORDERS.get(entry.custom.options.get("order", ""), ())))
    try:
        return dict(code.list_outputs(entry.custom))
    except LiminalError:
        return {}


def describe_all_models() -> dict[str, ModelDescription]:
    """All models, by name."""
    return {entry.name: describe_model(entry) for entry in registry.list_entries()}


def try_out(name: str, device_name: str | None = None) -> TryoutResult:
    """Load a model and run its check. Raises LiminalError for an unknown name."""
    entry, target = registry.find_entry(name), choose_device(device_name)
    try:
        model = registry.load(entry.name, entry.kind, str(target))
    except LiminalError as error:
        return TryoutResult((str(error),), float("nan"), 0, str(target))
    report = check_model(model)
    device = str(getattr(model, "device", target))
    return TryoutResult(report.findings, report.milliseconds, count_bytes(model), device, report.unit)


def count_bytes(model: object) -> int:
    """Bytes of all parameters and buffers that a model's networks hold, each counted once."""
    tensors: dict[int, torch.Tensor] = {}
    todo: list[Any] = [model]
    counted: set[int] = set()
    while todo:
        part = todo.pop()
        if id(part) in counted:
            continue
        counted.add(id(part))
        if isinstance(part, torch.nn.Module):
            tensors |= {id(tensor): tensor for tensor in (*part.parameters(), *part.buffers())}
        elif isinstance(part, Sequence) and not isinstance(part, str | bytes):
            todo += list(part)[:16]
        elif type(part).__module__.startswith("core.models") and hasattr(part, "__dict__"):
            todo += list(vars(part).values())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())

"""The check on a GPU: parity of every network with the CPU, half precision, speed, memory fallback, the engine under streams.

``python -m benchmarks gpu`` on a CUDA machine needs torch, numpy, platformdirs, cachetools and this repository, and five minutes at
most. What other packages are needed for is skipped where they are missing, and so are built-in networks whose weight file is
missing; the architectures are checked with random weights all the same. On the CPU, and with ``--quick``, everything runs with tiny
networks.
"""

from __future__ import annotations

import importlib
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import sdxl_networks
from benchmarks.gpu_networks import (
    CHUNK,
    FULL,
    SEED,
    SMALL,
    STREAMED,
    Case,
    NetworkSizes,
    StyleGAN2Pictures,
    build,
    draw_images,
    draw_noise,
    list_cases,
    to_device,
    to_half,
    write_onnx_network,
)
from core.errors import LiminalError
from core.models import registry, request_context
from core.models.device import choose_device, choose_search_precision, free_cached, ran_out_of_memory, run_in_chunks
from core.models.engine.engine import Engine, batched
from core.progress import redirect_notices

BUDGET_SECONDS = 280.0
"""After so many seconds nothing new is begun, so that the whole stays within five minutes."""

FLOAT32_LIMIT = 1e-4
"""Largest difference from the CPU in float32, as a share of the largest value: rounding gives 1e-6 to 1e-5, TF32 about 1e-3."""

HALF_LIMITS = {torch.float16: 0.02, torch.bfloat16: 0.08}
"""Largest difference from float32 on the CPU, as a share of the largest value. One operation in float16 rounds to 5e-4, in bfloat16
to 4e-3, and some 15 to 60 follow each other. Measured on a CPU: at most 0.0014 (StyleGAN2, 256 pixels) and 0.031 (DCGAN)."""

SEARCH_NETWORKS = {
    name for chain in (entry.emotion_chain for entry in registry.ENTRIES) if chain for name in (chain.encoder, chain.classifier)
}
"""Built-in models with dlib's network in the search precision, which is bfloat16 where the device multiplies it natively."""

SEARCHED = ("head", "dcgan")
"""Generators whose chains of networks are run through, gradients included: one that the processor draws, one with a gradient."""

SEARCH_LIMITS = {"embedding": 1e-2, "face": 5e-2}
"""Largest difference, as a share of the largest value, after steps that each go on from the last one's rounding: of the wanted
embeddings; of how near the finished faces come to them, as latents may part where two ways are equally good. No GPU was there."""

STREAMS = 8
"""Sessions that use the engine at once."""

Status = Literal["passed", "failed", "measured", "skipped"]


@dataclass(frozen=True)
class Row:
    """A row of the table. ``value`` and ``limit`` are in ``unit``; None where there is nothing to compare."""

    check: str
    name: str
    status: Status
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    note: str = ""


Check = tuple[str, str, Callable[[], list[Row]]]
"""Kind of check, name, and what is run for it."""


QUICK = SMALL
"""With ``--quick``, and always on the CPU."""


def measure(sizes: NetworkSizes = FULL, device: str | None = None) -> dict[str, Any]:
    """All rows of the table, as plain data. device: as ``choose_device`` takes it."""
    target = choose_device(device)
    sizes = SMALL if target.type == "cpu" else sizes
    began = time.monotonic()
    rows: list[Row] = []
    for kind, name, run in list_checks(target, sizes):
        if time.monotonic() - began > BUDGET_SECONDS:
            rows.append(Row(kind, name, "skipped", note=f"skipped: {BUDGET_SECONDS:.0f} seconds are used up"))
            continue
        rows += _run(kind, name, run)
        free_cached(target)
    return {
        "device": describe_device(target),
        "sizes": "full" if sizes is FULL else "tiny",
        "rows": [asdict(row) for row in rows],
        "failed": sum(row.status == "failed" for row in rows),
        "seconds": round(time.monotonic() - began, 1),
    }


def list_checks(device: torch.device, sizes: NetworkSizes) -> list[Check]:
    """Everything that is checked, in the order of the table."""
    cases = list_cases(sizes)
    streamed = [case for case in cases if case.name in STREAMED]
    stylegan2 = f"StyleGAN2, {sizes.resolution} pixels"
    return [
        *(("parity", entry.name, partial(check_built_in, entry, device)) for entry in registry.ENTRIES),
        *(("parity", case.name, partial(check_case, case, device)) for case in cases),
        ("parity", "ONNX file", partial(check_onnx, device)),
        ("half precision", "dcgan, search", partial(check_search_path, device)),
        *(("search", name, partial(check_two_stages, name, device)) for name in SEARCHED),
        ("speed", f"{stylegan2}, float32", partial(time_stylegan2, torch.float32, device, sizes)),
        ("speed", f"{stylegan2}, float16", partial(time_stylegan2, torch.float16, device, sizes)),
        ("speed", "SDXL-sized decoder", partial(time_sdxl, device, sizes)),
        ("memory", "smaller chunks", partial(check_memory, device, sizes)),
        *(("engine", case.name, partial(check_engine, case, device, sizes)) for case in streamed),
    ]


def _run(kind: str, name: str, run: Callable[[], list[Row]]) -> list[Row]:
    """The check's rows. A missing package or too small a memory skips it; any other exception fails it, and the next one runs."""
    try:
        with torch.no_grad():
            return run()
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in ("core", "benchmarks"):
            return [Row(kind, name, "failed", note=f"{type(error).__name__}: {error}")]
        return [Row(kind, name, "skipped", note=f"skipped: {package} is not installed")]
    except Exception as error:  # whatever a network raises is a row of the table
        if ran_out_of_memory(error):
            return [Row(kind, name, "skipped", note="skipped: it needs more memory than there is")]
        return [Row(kind, name, "failed", note=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")]


# --- parity


def check_case(case: Case, device: torch.device) -> list[Row]:
    """A random network on the device beside the CPU, in float32 and, where the product does so, in half precision."""
    network = build(case, device)
    inputs = case.inputs(torch.Generator().manual_seed(SEED))
    expected = network(*inputs)
    network = to_device(network, device)
    moved = [tensor.to(device) for tensor in inputs]
    rows = [compare("parity", case.name, network(*moved), expected, FLOAT32_LIMIT, "random weights")]
    if case.half is not None:
        network = to_half(network, case.half)
        if case.casts_inputs and not isinstance(network, StyleGAN2Pictures):
            moved = [tensor.to(case.half) for tensor in moved]
        note = f"random weights, {_short(case.half)}"
        rows.append(compare("half precision", case.name, network(*moved), expected, HALF_LIMITS[case.half], note))
    return rows


def check_built_in(entry: registry.Entry, device: torch.device) -> list[Row]:
    """A built-in model with its own weights on the device beside the CPU: its kind's main function."""
    load: Any = registry.load  # the kind is known at run time alone
    try:
        reference = load(entry.name, entry.kind, "cpu")
        model = load(entry.name, entry.kind, str(device))
    except LiminalError as error:
        return [Row("parity", entry.name, "skipped", note=f"skipped: {error}")]
    limit, note = FLOAT32_LIMIT, str(entry.kind)
    if entry.name in SEARCH_NETWORKS and torch.bfloat16 in (
        choose_search_precision(device),
        choose_search_precision(torch.device("cpu")),
    ):
        limit, note = HALF_LIMITS[torch.bfloat16], f"{entry.kind}, partly bfloat16"
    return [compare("parity", entry.name, main_function(model, entry.kind), main_function(reference, entry.kind), limit, note)]


def main_function(model: Any, kind: str) -> Tensor:
    """What a model of a kind is asked for, on five inputs of a fixed seed."""
    random, count = torch.Generator().manual_seed(SEED), CHUNK + 1
    if kind == "generator":
        return _tensor(model.decode(model.sample(range(count))))
    if kind == "recogniser":  # without its detector, which runs on the CPU on every machine
        side = model.card.input_size
        return _tensor(model.embed_chips(torch.rand(count, 3, side, side, generator=random)))
    if kind == "distance":
        first, second = torch.rand(2, count, 3, 64, 64, generator=random)
        return _tensor(model.distance(first, second))
    if kind in ("classifier", "encoder"):
        coarse = torch.rand(count, 3, 8, 8, generator=random)
        images = torch.nn.functional.interpolate(coarse, size=64, mode="bilinear")
        return _tensor(model.logits(images) if kind == "classifier" else model.embed(images))
    if kind == "surrogate":
        return _tensor(model.logits(torch.randn(count, model.latent_dim, generator=random)))
    embeddings = torch.randn(count, model.embedding_dim, generator=random)
    if kind == "prior":
        return _tensor(model.noise(embeddings, torch.linspace(0, model.train_steps - 1, count).long()))
    return _tensor(model.latents(embeddings, range(count)))


def check_search_path(device: torch.device) -> list[Row]:
    """The faster path that ranks a search's candidates, in the precision that the product chooses for this device."""
    try:
        model = registry.load("dcgan", "generator", str(device))
        reference = registry.load("dcgan", "generator", "cpu")
    except LiminalError as error:
        return [Row("half precision", "dcgan, search", "skipped", note=f"skipped: {error}")]
    latents = model.sample(range(CHUNK + 1))
    precision: torch.dtype = getattr(model, "precision", torch.float32)
    limit = HALF_LIMITS.get(precision, FLOAT32_LIMIT)
    fast, exact = model.decode_for_search(latents), reference.decode(latents)
    return [compare("half precision", "dcgan, search", fast, exact, limit, f"generator, {_short(precision)}")]


def check_onnx(device: torch.device) -> list[Row]:
    """A network in an ONNX file, as those of users are run: by onnxruntime's CUDA provider where there is one."""
    importlib.import_module("onnxruntime")  # an optional package
    onnx_network = importlib.import_module("core.models.custom.onnx_network")
    with tempfile.TemporaryDirectory() as folder:
        path = write_onnx_network(Path(folder))
        description = onnx_network.OnnxDescription(model=path.name, input_size=64)
        networks = [onnx_network.OnnxNetwork(path, description, "the check", each) for each in (torch.device("cpu"), device)]
    pictures = np.random.default_rng(SEED).integers(0, 256, (CHUNK + 1, 64, 64, 3), dtype=np.uint8)
    expected, found = (torch.from_numpy(np.stack([network.run(picture) for picture in pictures])) for network in networks)
    provider = networks[1].session.get_providers()[0]
    return [compare("parity", "ONNX file", found, expected, FLOAT32_LIMIT, f"random weights, {provider}")]


def check_two_stages(generator: str, device: torch.device) -> list[Row]:
    """Paper B's two stages with a generator's own networks, few steps, on the device beside the CPU.

    Guided denoising, whose gradient goes through classifier and prior; then flow, surrogate or draft, and by gradient to a face.
    """
    configurations = importlib.import_module("core.sampling.emotion.configuration")  # all need packages that may be missing
    judging = importlib.import_module("core.sampling.emotion.judging")
    two_stage = importlib.import_module("core.sampling.emotion.two_stage")
    c = configurations.EmotionConfiguration("surprise", "fear", generator=generator, steps=10, seed=SEED)
    results: list[tuple[Tensor, Tensor]] = []
    for place in (torch.device("cpu"), device):
        try:
            panel = place_panel(judging.EmotionPanel.load(c), place)
        except LiminalError as error:
            return [Row("search", generator, "skipped", note=f"skipped: {error}")]
        bases, seeds = panel.generator.sample([SEED]).cpu(), [SEED]
        with torch.inference_mode():
            start = two_stage.embed_faces(panel.generator.decode(bases), panel).cpu()
        wanted = two_stage.denoise_embeddings(start, seeds, c, panel)
        goal = results[0][0] if results else wanted  # the same for both, whatever the first stage has made of it
        latents = two_stage.decode_embeddings(goal, bases, seeds, c, panel)
        with torch.inference_mode():
            reached = two_stage.embed_faces(panel.generator.decode(latents), panel).cpu()
        results.append((wanted, (reached - goal).norm(dim=1)))
    (wanted, reached), (wanted_here, reached_here) = results
    embedding, face = SEARCH_LIMITS["embedding"], SEARCH_LIMITS["face"]
    return [
        compare("search", f"{generator}, wanted embedding", wanted_here, wanted, embedding, f"{c.steps} guided steps"),
        compare("search", f"{generator}, distance of the face", reached_here, reached, face, "by flow and gradient"),
    ]


def place_panel(panel: Any, device: torch.device) -> Any:
    """The networks of paper B's stages on a device; the others stay where they are."""
    load: Any = registry.load
    kinds = {"generator": "generator", "encoder": "encoder", "mlp": "classifier", "prior": "prior", "decoder": "decoder"}
    kinds |= {"surrogate": "surrogate"}
    return replace(panel, **{field: load(getattr(panel, field).name, kind, str(device)) for field, kind in kinds.items()})


def compare(check: str, name: str, result: Tensor, expected: Tensor, limit: float, note: str = "") -> Row:
    """A row: the largest absolute difference, and ``limit`` times the largest value expected. NaN anywhere is a failure."""
    values, reference = result.detach().float().cpu(), expected.detach().float().cpu()
    if values.shape != reference.shape:
        return Row(check, name, "failed", note=f"shape {tuple(values.shape)} instead of {tuple(reference.shape)}")
    if not bool(torch.isfinite(values).all() and torch.isfinite(reference).all()):
        return Row(check, name, "failed", note=f"{note}: values that are not finite")
    largest = float((values - reference).abs().max())
    allowed = limit * float(reference.abs().max())
    return Row(check, name, "passed" if largest <= allowed else "failed", largest, allowed, "max abs difference", note)


# --- speed


def time_stylegan2(precision: torch.dtype, device: torch.device, sizes: NetworkSizes) -> list[Row]:
    """Images a second as the product makes them: through the engine, one at a time from 256 pixels on."""
    chunk = max(1, min(4, 256 // sizes.resolution))
    make = partial(StyleGAN2Pictures, sizes.resolution, sizes.width, precision)
    case = Case("StyleGAN2", make, draw_noise(4, sizes.width), redraw=False)
    network = to_device(build(case, device), device)
    z = case.inputs(torch.Generator().manual_seed(SEED))[0].to(device)
    rate = rows_per_second(lambda: batched(network, z, chunk), len(z), device, sizes.seconds)
    name = f"StyleGAN2, {sizes.resolution} pixels, {_short(precision)}"
    return [Row("speed", name, "measured", rate, unit="images/s", note=f"random weights, {chunk} at a time")]


def time_sdxl(device: torch.device, sizes: NetworkSizes) -> list[Row]:
    """Images a second of one step of the U-Net in float16 and the VAE's decoder in float32, one image at a time, as in the product.

    The U-Net is in float32 on the CPU, which has no use for float16.
    """
    dtype, sdxl = torch.float32 if device.type == "cpu" else torch.float16, sizes.sdxl
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(SEED)
        unet = sdxl_networks.make_unet(sdxl).eval().requires_grad_(False).to(dtype)
        decoder = sdxl_networks.make_decoder(sdxl).eval().requires_grad_(False)
        noised = torch.randn(1, sdxl_networks.LATENT_CHANNELS, sizes.latent, sizes.latent, dtype=dtype)
        context, pooled = torch.randn(1, sizes.tokens, sdxl.context, dtype=dtype), torch.randn(1, sdxl.pooled, dtype=dtype)
    rate = rows_per_second(lambda: decoder((noised - unet(noised, context, pooled)).float()), 1, device, sizes.seconds)
    parameters = sum(parameter.numel() for network in (unet, decoder) for parameter in network.parameters())
    source = "diffusers' classes" if sdxl_networks.has_diffusers() else "plain PyTorch"
    note = f"{source}, {parameters / 1e9:.2f} billion parameters, one step, {_short(dtype)}"
    name = f"SDXL-sized decoder, {sizes.latent * sdxl.scale} pixels"
    return [Row("speed", name, "measured", rate, unit="images/s", note=note)]


def rows_per_second(work: Callable[[], object], rows: int, device: torch.device, seconds: float) -> float:
    """How often a second ``work``, which makes so many rows, makes one; timed for about so many seconds after one to warm up."""
    work()
    synchronise(device)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        work()
        synchronise(device)
        count += rows
    return count / (time.perf_counter() - began)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


# --- memory


class SimulatedMemory(nn.Module):
    """A network that says of more than ``room`` rows at once what CUDA says where its memory is too small."""

    def __init__(self, network: nn.Module, room: float) -> None:
        super().__init__()
        self.network, self.room = network, room

    def forward(self, rows: Tensor) -> Tensor:
        if len(rows) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory (simulated)")
        result: Tensor = self.network(rows)
        return result


@contextmanager
def limited_memory(network: nn.Module, row: Tensor, room: float) -> Iterator[nn.Module]:
    """The network within memory for ``room`` rows at once: by a limit of PyTorch's CUDA allocator, elsewhere simulated."""
    device = row.device
    if device.type != "cuda":
        yield SimulatedMemory(network, room)
        return
    index = torch.cuda.current_device() if device.index is None else device.index
    free_cached(device)
    before = torch.cuda.memory_allocated(index)
    torch.cuda.reset_peak_memory_stats(index)
    network(row)
    needed = torch.cuda.max_memory_allocated(index) - before
    free_cached(device)
    share = (torch.cuda.memory_reserved(index) + room * needed) / torch.cuda.get_device_properties(index).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, share), index)
    try:
        yield network
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, index)
        free_cached(device)


def check_memory(device: torch.device, sizes: NetworkSizes) -> list[Row]:
    """Out of memory in the engine makes smaller chunks with the same rows; where not even one fits, one sentence; then it goes on.

    A convolution whose maps take 64 MiB a row on CUDA, in a chunk of eight, with memory for two and a half rows.
    """
    if device.type == "mps":
        return [Row("memory", "smaller chunks", "skipped", note="skipped: the memory of MPS cannot be limited")]
    layers = nn.Sequential(nn.Conv2d(3, 256, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(4), nn.Flatten())
    side = 256 if device.type == "cuda" else sizes.memory_side  # smaller ones would fit into what the allocator rounds up
    case = Case("memory", lambda: layers, draw_images(8, 3, side))
    network = to_device(build(case, device), device)
    rows = case.inputs(torch.Generator().manual_seed(SEED))[0].to(device)
    expected = run_in_chunks(network, rows, 1)
    engine, notices = Engine(), list[str]()
    how = "limit of the allocator" if device.type == "cuda" else "simulated"
    try:
        with limited_memory(network, rows[:1], 2.5) as limited, redirect_notices(notices.append):
            row = compare("memory", "smaller chunks", engine.run(limited, rows, 8), expected, FLOAT32_LIMIT, how)
        smaller = [notice.rpartition(" ")[2].rstrip(".") for notice in notices]
        note = f"{how}: 8 rows at a time, then {', then '.join(smaller)}" if smaller else f"{how}: memory never ran out"
        results = [replace(row, note=note, status=row.status if smaller else "failed")]
        refused = "no error was raised"
        with limited_memory(network, rows[:1], 0.25) as limited, redirect_notices(notices.append):
            try:
                engine.run(limited, rows[:1], 1)
            except LiminalError as error:
                refused = "" if "too small" in str(error) else str(error)
        results.append(Row("memory", "not one row fits", "failed" if refused else "passed", note=refused or "one sentence says so"))
        again = engine.run(network, rows, 8)
        results.append(compare("memory", "engine afterwards", again, expected, FLOAT32_LIMIT, "full chunks again"))
    finally:
        engine.close()
    return results


# --- engine


def check_engine(case: Case, device: torch.device, sizes: NetworkSizes) -> list[Row]:
    """Eight sessions that each ask for one row at a time, beside one that asks for all of them: rows a second, same bytes."""
    network = to_device(build(case, device), device)
    examples = case.inputs(torch.Generator().manual_seed(SEED))
    shapes, widths = [example.shape[1:] for example in examples], [example[0].numel() for example in examples]
    rows = torch.rand(STREAMS * sizes.requests, sum(widths), generator=torch.Generator().manual_seed(SEED)).to(device)

    def from_rows(flat: Tensor) -> Tensor:
        """The network's inputs lie side by side in a row, as the engine takes one tensor."""
        parts = torch.split(flat, widths, dim=1)
        result: Tensor = network(*(part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)))
        return result

    engine = Engine()
    try:
        run_streams(engine, from_rows, rows[: 2 * CHUNK].chunk(2))  # warm-up
        alone, one_rate = run_streams(engine, from_rows, [rows])
        beside, eight_rate = run_streams(engine, from_rows, rows.chunk(STREAMS))
    finally:
        engine.close()
    same = alone.shape == beside.shape and alone.tobytes() == beside.tobytes()
    speed = Row("engine", f"{case.name}, 1 stream", "measured", one_rate, unit="rows/s", note=f"chunk {CHUNK}, one row a request")
    gain = f"{eight_rate / one_rate:.1f} times one stream; {'same bytes' if same else 'other bytes than one stream'}"
    return [
        speed,
        Row("engine", f"{case.name}, {STREAMS} streams", "passed" if same else "failed", eight_rate, unit="rows/s", note=gain),
    ]


def run_streams(
    engine: Engine, network: Callable[[Tensor], Tensor], streams: Sequence[Tensor]
) -> tuple[np.ndarray[Any, np.dtype[np.float32]], float]:
    """Each stream's rows in a session of its own, one row a request -> all results in the order of the rows, and rows a second."""
    results: list[list[Tensor]] = [[] for _ in streams]
    errors: list[BaseException] = []
    start = threading.Barrier(len(streams) + 1)

    def ask(number: int) -> None:
        try:
            with torch.no_grad(), request_context.use_context(request_context.RequestContext(f"stream-{number}")):
                start.wait()
                for row in torch.split(streams[number], 1):
                    results[number].append(engine.run(network, row, CHUNK).cpu())
        except BaseException as error:  # told to whoever started the thread
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(len(streams))]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if errors:
        raise errors[0]
    values = torch.cat([row for stream in results for row in stream]).numpy()
    return values, len(values) / seconds


# --- output


def describe_device(device: torch.device) -> dict[str, Any]:
    """The machine: device, versions, and the switches that move results."""
    described: dict[str, Any] = {
        "device": str(device),
        "name": platform.machine(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "tf32_convolutions": bool(torch.backends.cudnn.allow_tf32) if device.type == "cuda" else False,
        "tf32_products": bool(torch.backends.cuda.matmul.allow_tf32) if device.type == "cuda" else False,
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        described |= {"name": properties.name, "memory_gb": round(properties.total_memory / 1e9, 1), "cuda": torch.version.cuda}
    return described


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _tensor(value: Any) -> Tensor:
    assert isinstance(value, Tensor)
    return value


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1e}" if value < 0.01 else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def as_text(figures: dict[str, Any]) -> str:
    """The table, a line a row, and what was found in total."""
    header = ("check", "network", "status", "result", "limit", "note")
    lines = [header]
    for row in figures["rows"]:
        result = f"{_figure(row['value'])} {row['unit'] if row['unit'] != 'max abs difference' else ''}".strip()
        lines.append((row["check"], row["name"], row["status"], result, _figure(row["limit"]), row["note"]))
    widths = [max(len(line[column]) for line in lines) for column in range(len(header) - 1)]
    table = []
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        table.append("  ".join([*cells, line[-1]]).rstrip())
    device, statuses = figures["device"], [row["status"] for row in figures["rows"]]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in get_args(Status))
    title = f"{device['name']} ({device['device']}), torch {device['torch']}, {device['threads']} threads"
    return "\n".join(
        [
            f"{title}, {figures['sizes']} networks",
            "Parity, half precision: largest absolute difference from float32 on the CPU; limit: a share of its largest value.",
            "",
            *table,
            "",
            f"{counts}; {figures['seconds']:.0f} seconds",
        ]
    )


def exit_code(figures: dict[str, Any]) -> int:
    """1 where a row has failed, else 0."""
    return int(figures["failed"] > 0)

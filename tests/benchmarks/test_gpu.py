"""The GPU check runs from end to end on the CPU with tiny networks, and a difference that is planted is reported."""

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import gpu, gpu_networks, sdxl_networks
from benchmarks.__main__ import main
from benchmarks.gpu_networks import SMALL
from core.models import registry
from core.models.weights import WeightFile

CPU = torch.device("cpu")
WITHOUT_PACKAGES = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Refuse())
from benchmarks import gpu
from benchmarks.__main__ import main
list_checks, names = gpu.list_checks, sys.argv[2].split(";")
gpu.list_checks = lambda *given: [check for check in list_checks(*given) if check[1] in names]
sys.exit(main(["gpu", "--quick", "--json"]))
"""
PACKAGES = (
    "streamlit,pandas,diffusers,transformers,dlib,cv2,h5py,onnx,lpips,torchvision,safetensors,scipy,sklearn,skimage,psutil,"
    "huggingface_hub,plotly,duckdb,sqlalchemy"
)
PLAIN = ("DCGAN", "U-ViT prior", "StyleGAN2, 32 pixels", "SDXL-sized U-Net", "SDXL-sized VAE decoder")
"""Networks that need torch alone."""


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setenv("LIMINAL_DEVICE", "cpu")


def only(monkeypatch, *names):
    """``measure`` runs these checks alone."""
    list_checks = gpu.list_checks
    monkeypatch.setattr(gpu, "list_checks", lambda *given: [check for check in list_checks(*given) if check[1] in names])


def table(capsys, *arguments):
    code = main(["gpu", "--quick", "--json", *arguments])
    figures = json.loads(capsys.readouterr().out)
    return code, {(row["check"], row["name"]): row for row in figures["rows"]}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny networks are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def figures(one_thread):
    """The whole check, once."""
    return gpu.measure(SMALL, device="cpu")


def test_the_whole_check_passes_and_its_table_has_every_row(figures):
    rows = {(row["check"], row["name"]): row for row in figures["rows"]}
    assert len(rows) == len(figures["rows"])
    assert [row for row in figures["rows"] if row["status"] in ("failed", "skipped")] == []
    networks = [entry.name for entry in registry.ENTRIES] + [case.name for case in gpu_networks.list_cases(SMALL)]
    assert [name for check, name in rows if check == "parity"] == [*networks, "ONNX file"]
    assert rows["parity", "ONNX file"]["note"].endswith("CPUExecutionProvider")
    assert {name.partition(",")[0] for check, name in rows if check == "search"} == {"head", "dcgan"}
    halved = {name for check, name in rows if check == "half precision"}
    assert halved == {"DCGAN", "dlib ResNet", "StyleGAN2, 32 pixels", "SDXL-sized U-Net", "dcgan, search"}
    assert all(0 < row["value"] < row["limit"] for (check, _), row in rows.items() if check == "half precision")
    speed = {name: row for (check, name), row in rows.items() if check == "speed"}
    assert set(speed) == {"StyleGAN2, 32 pixels, float32", "StyleGAN2, 32 pixels, float16", "SDXL-sized decoder, 16 pixels"}
    assert all(row["status"] == "measured" and row["value"] > 0 for row in speed.values())
    assert rows["memory", "smaller chunks"]["note"] == "simulated: 8 rows at a time, then 4, then 2"
    assert {name for check, name in rows if check == "memory"} == {"smaller chunks", "not one row fits", "engine afterwards"}
    for name in gpu_networks.STREAMED:
        assert rows["engine", f"{name}, 1 stream"]["value"] > 0
        assert rows["engine", f"{name}, 8 streams"]["note"].endswith("same bytes")
    assert gpu.exit_code(figures) == 0


def test_the_table_has_a_line_a_row(figures):
    lines = gpu.as_text(figures).splitlines()
    assert len(lines) == len(figures["rows"]) + 6
    assert lines[3].split() == ["check", "network", "status", "result", "limit", "note"]
    assert "0 failed" in lines[-1]


@pytest.mark.parametrize("planted", [1e-3, float("nan")])
def test_a_planted_difference_is_reported_as_failed(monkeypatch, capsys, planted):
    def wrong(network, device):
        with torch.no_grad():
            next(network.parameters()).mul_(1 + planted)
        return network

    only(monkeypatch, "Tanh CNN", "tanh-cnn")
    monkeypatch.setattr(gpu, "to_device", wrong)
    code, rows = table(capsys)
    assert code == 1
    assert rows["parity", "Tanh CNN"]["status"] == "failed"
    assert rows["parity", "tanh-cnn"]["status"] == "passed"  # a built-in network, which nothing was planted in


def test_other_bytes_under_streams_are_reported_as_failed(monkeypatch):
    """A network whose result depends on the neighbours in its chunk."""

    def wrong(network, device):
        forward = network.forward
        network.forward = lambda *inputs: forward(*inputs) + inputs[0].sum()
        return network

    monkeypatch.setattr(gpu, "to_device", wrong)
    case = next(case for case in gpu_networks.list_cases(SMALL) if case.name == "U-ViT prior")
    rows = gpu._run("engine", case.name, lambda: gpu.check_engine(case, CPU, SMALL))
    assert [row.status for row in rows] == ["measured", "failed"]
    assert rows[1].note.endswith("other bytes than one stream")


def test_memory_that_never_runs_out_is_a_failure(monkeypatch):
    monkeypatch.setattr(gpu, "SimulatedMemory", lambda network, room: network)
    rows = gpu.check_memory(CPU, SMALL)
    assert [row.status for row in rows] == ["failed", "failed", "passed"]


def test_on_cuda_the_allocator_is_limited_and_freed_again(monkeypatch):
    """With stand-ins for CUDA's functions, as there is no GPU here: the share of the memory, and its end also after an error."""
    shares = []
    fakes = {
        "current_device": lambda: 0,
        "memory_allocated": lambda index: 100,
        "reset_peak_memory_stats": lambda index: None,
        "max_memory_allocated": lambda index: 140,
        "memory_reserved": lambda index: 200,
        "get_device_properties": lambda index: SimpleNamespace(total_memory=1000),
        "set_per_process_memory_fraction": lambda share, index: shares.append((share, index)),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    row = SimpleNamespace(device=torch.device("cuda"))
    with pytest.raises(MemoryError), gpu.limited_memory(lambda row: row, row, 2.5):
        raise MemoryError
    assert shares == [(0.3, 0), (1.0, 0)]


def test_missing_weights_are_skipped_and_errors_are_rows(monkeypatch, capsys):
    only(monkeypatch, "small-cnn", "Small CNN", "DCGAN")
    from core.models.builtin import fer

    monkeypatch.setattr(fer, "SMALL_CNN_CARD", replace(fer.SMALL_CNN_CARD, files=(WeightFile("gone==1", "", "gone.pkl", ""),)))
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(gpu, "check_case", lambda case, device: [][1])
    code, rows = table(capsys)
    assert code == 1
    assert rows["parity", "small-cnn"]["status"] == "skipped"
    assert rows["parity", "small-cnn"]["note"].startswith("skipped: The weight file")
    assert rows["parity", "DCGAN"]["note"].startswith("IndexError")


def test_nothing_is_begun_after_the_budget(monkeypatch):
    monkeypatch.setattr(gpu, "BUDGET_SECONDS", -1.0)
    found = gpu.measure(device="cpu")
    assert {row["status"] for row in found["rows"]} == {"skipped"}


def test_a_device_that_is_not_there_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setenv("LIMINAL_DEVICE", "abacus")
    assert main(["gpu"]) == 2
    assert capsys.readouterr().err.startswith("Error: 'abacus' is no device")


def test_it_needs_nothing_but_torch_and_numpy():
    """Networks of other packages are skipped, each with the package's name, and the SDXL-sized ones are plain PyTorch."""
    names = ";".join((*PLAIN, "dlib", "SDXL-sized decoder", "smaller chunks"))
    command = [sys.executable, "-c", WITHOUT_PACKAGES, PACKAGES, names]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    found = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr + found.stdout
    rows = {(row["check"], row["name"]): row for row in json.loads(found.stdout)["rows"]}
    assert rows["parity", "dlib"]["note"] == "skipped: dlib is not installed"
    for name in PLAIN:
        assert rows["parity", name]["status"] == "passed"
    assert rows["memory", "smaller chunks"]["status"] == "passed"
    assert "plain PyTorch" in rows["speed", "SDXL-sized decoder, 16 pixels"]["note"]


def test_the_plain_sdxl_networks_have_the_sizes_of_diffusers():
    def count(network):
        return sum(each.numel() for each in network.parameters())

    with torch.device("meta"):
        assert count(sdxl_networks.PlainUNet(SMALL.sdxl)) == count(sdxl_networks.DiffusersUNet(SMALL.sdxl))
        assert count(sdxl_networks.PlainDecoder(SMALL.sdxl)) == count(sdxl_networks.DiffusersDecoder(SMALL.sdxl))
        assert count(sdxl_networks.PlainUNet(sdxl_networks.SDXLSizes())) == 2_567_463_684


def test_a_wrong_prior_on_the_device_is_found_by_its_search(monkeypatch):
    """The second panel's prior is off by a hundredth; the first is the reference."""
    place, placed = gpu.place_panel, []

    def wrong(panel, device):
        panel = place(panel, device)
        placed.append(panel)
        if len(placed) == 1:
            return panel
        off = copy.copy(panel.prior)
        off.noise = lambda noised, step: 1.05 * panel.prior.noise(noised, step)
        return replace(panel, prior=off)

    monkeypatch.setattr(gpu, "place_panel", wrong)
    rows = gpu._run("search", "head", lambda: gpu.check_two_stages("head", CPU))
    assert [row.status for row in rows] == ["failed", "passed"]  # the second stage begins at the first one's reference

"""Official StyleGAN2 pickles: equal to the network they were written from, and nothing in any of them is run."""

import io
import os
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest
import torch

from core.errors import LiminalError
from core.models.custom import stylegan2
from core.models.custom.catalogue import CustomModel, list_custom_models
from core.models.custom.manager import add_model
from core.models.custom.stylegan2 import StyleGAN2Network, StyleGAN2Sizes
from core.models.custom.stylegan2_pickle import read_official_pickle

SIZES = StyleGAN2Sizes(z_dim=6, w_dim=5, classes=0, class_features=0, mapping=(7, 5), channels={4: 8, 8: 6, 16: 4})
CONDITIONAL = StyleGAN2Sizes(z_dim=6, w_dim=5, classes=4, class_features=3, mapping=(7, 5), channels={4: 8, 8: 6})
CLASS_NAMES = {
    "StyleGAN2Network": "Generator",
    "MappingNetwork": "MappingNetwork",
    "SynthesisNetwork": "SynthesisNetwork",
    "SynthesisBlock": "SynthesisBlock",
    "SynthesisLayer": "SynthesisLayer",
    "ToRGBLayer": "ToRGBLayer",
    "FullyConnectedLayer": "FullyConnectedLayer",
}
SOURCE = "import os\nos.mkdir({harm!r})\n"
"""What stands in the place of the networks' source: it would do harm if it were executed, as the official loader does."""


@pytest.fixture
def official(monkeypatch):
    """Modules of the official names, so that pickles can refer to them -> a class whose objects pickle as persistent ones."""
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("the official loader was called")

    def call_func_by_name(*_, **__):
        raise AssertionError("the official loader was called")

    class EasyDict(dict):
        pass

    for made, module in ((_reconstruct_persistent_obj, persistence), (EasyDict, util), (call_func_by_name, util)):
        made.__module__, made.__qualname__ = module.__name__, made.__name__
        setattr(module, made.__name__, made)
    for module in (persistence, util):
        monkeypatch.setitem(sys.modules, module.__name__.split(".")[0], types.ModuleType(module.__name__.split(".")[0]))
        monkeypatch.setitem(sys.modules, module.__name__, module)

    class Persistent:
        def __init__(self, class_name, state, source="raise SystemExit('run!')"):
            self.meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state}

        def __reduce__(self):
            return persistence._reconstruct_persistent_obj, (self.meta,), None

    return types.SimpleNamespace(Persistent=Persistent, EasyDict=EasyDict, persistence=persistence, util=util)


def random_network(sizes=SIZES, seed=0):
    torch.manual_seed(seed)
    network = StyleGAN2Network(sizes)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.3)
        network.mapping.w_avg.normal_(std=0.5)
    return network.eval()


def as_official(official, module, source, clamp=256, name=""):
    """A module as the official code would pickle it: its state with the attributes of that code, NumPy's numbers among them."""
    state = {key: value for key, value in vars(module).items() if key.startswith("_") or key == "training"}
    children = {
        key: as_official(official, child, source, clamp, f"{name}.{key}".strip(".")) for key, child in module._modules.items()
    }
    state |= {"_modules": OrderedDict(children), "_init_args": (), "_init_kwargs": official.EasyDict(conv_clamp=clamp)}
    kind = type(module).__name__
    if kind == "FullyConnectedLayer":
        rate = 0.01 if name.startswith("mapping.fc") else 1
        state |= {"activation": "lrelu" if rate != 1 else "linear", "weight_gain": rate / np.sqrt(module.weight.shape[1])}
        state |= {"bias_gain": rate, "in_features": module.weight.shape[1]}
    if kind in ("SynthesisLayer", "ToRGBLayer"):
        state |= {"conv_clamp": clamp, "act_gain": np.sqrt(2)}
    if kind == "SynthesisLayer":
        state |= {"activation": "lrelu", "use_noise": True, "up": 2 if module.up else 1}
    if kind == "SynthesisBlock":
        state |= {"architecture": "skip", "use_fp16": np.bool_(True), "resolution": 4}
    if kind == "StyleGAN2Network":
        state |= {"z_dim": 6, "c_dim": module.sizes.classes, "img_channels": 3}
        state["_non_persistent_buffers_set"] = set()
    return official.Persistent(CLASS_NAMES[kind], state, source)


def save_official(official, path, network=None, clamp=256, protocol=None, change=lambda content: None):
    source = SOURCE.format(harm=str(path.parent / "harm"))
    generator = as_official(official, network or random_network(), source, clamp)
    other = official.Persistent("Discriminator", {"_parameters": {}, "_buffers": {}, "_modules": {}, "size": np.zeros(2)}, source)
    content = {"G": None, "D": other, "G_ema": generator, "augment_pipe": None}
    content["training_set_kwargs"] = official.EasyDict(path="ffhq.zip", max_size=70000)
    change(content)
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(("sizes", "clamp", "label"), [(SIZES, 256, 0), (SIZES, None, 0), (CONDITIONAL, 0.8, 2)])
def test_an_official_pickle_equals_the_network_that_it_was_written_from(official, tmp_path, protocol, sizes, clamp, label):
    network = random_network(sizes)
    path = save_official(official, tmp_path / "ffhq.pkl", network, clamp, protocol)
    options = {"label": label} if label else {}
    model = stylegan2.load_custom(CustomModel("ffhq", "stylegan2", str(path), options, title="FFHQ"), torch.device("cpu"))
    assert model.network.sizes == sizes
    assert model.clamp == clamp
    z = model.sample([1, 2])
    with torch.no_grad():
        expected = (network(z, label=label, clamp=clamp) + 1) / 2
        torch.testing.assert_close(model.decode(z), expected.clamp(0, 1), atol=1e-5, rtol=1e-5)
    assert not (tmp_path / "harm").exists()


def test_weights_in_another_order_of_memory_and_shared_storages_are_read(official, tmp_path):
    network = random_network()
    weight = network.synthesis.b16.conv0.weight
    weight.data = weight.data.to(memory_format=torch.channels_last)
    shared = torch.randn(40)
    network.mapping.fc0.bias.data = shared[3:10]
    found = read_official_pickle(save_official(official, tmp_path / "ffhq.pkl", network)).tensors
    assert set(found) == set(network.state_dict())
    for key, tensor in network.state_dict().items():
        assert torch.equal(found[key], tensor), key


@pytest.mark.usefixtures("own_place")
def test_models_add_keeps_what_the_pickle_says(official, tmp_path):
    path = save_official(official, tmp_path / "ffhq.pkl", clamp=None)
    added = add_model("ffhq", "stylegan2", str(path)).custom
    assert dict(added.options) == {"clamp": None}
    assert list(added.files) == ["ffhq.pkl"]
    assert dict(add_model("limited", "stylegan2", str(path), options={"clamp": 5}).custom.options) == {"clamp": 5}
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(LiminalError, match=r"ffhq\.pkl is damaged"):
        add_model("cut", "stylegan2", str(path))
    assert [model.name for model in list_custom_models()] == ["ffhq", "limited"]


def set_state(*keys, value):
    """A change of the generator's state at the module that ``keys`` name."""

    def change(content):
        module = content["G_ema"]
        for key in keys[:-1]:
            module = module.meta["state"]["_modules"][key]
        module.meta["state"][keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: content.pop("G_ema"), "holds no generator called G_ema"),
        (lambda content: content.update(G_ema={"weight": 1}), "holds no generator called G_ema"),
        (set_state("mapping", "fc0", "bias_gain", value=0.5), "'mapping.fc0' in ffhq.pkl has bias_gain 0.5"),
        (set_state("mapping", "fc1", "activation", value="relu"), "'mapping.fc1' in ffhq.pkl has activation relu"),
        (set_state("synthesis", "b8", "architecture", value="resnet"), "'synthesis.b8' in ffhq.pkl has architecture resnet"),
        (set_state("synthesis", "b8", "conv0", "conv_clamp", value=3), "different limits of activations"),
        (set_state("synthesis", "b8", "_modules", value={}), "lacks 'synthesis.b8"),
        (set_state("synthesis", "_modules", value={"input": 1}), "is damaged"),
        (set_state("mapping", "_buffers", value={"w_avg": torch.full((5,), torch.nan)}), "'mapping.w_avg' in .* not finite"),
    ],
)
def test_other_networks_are_refused_by_what_is_wrong(official, tmp_path, change, sentence):
    path = save_official(official, tmp_path / "ffhq.pkl", change=change)
    with pytest.raises(LiminalError, match=sentence):
        stylegan2.read_stylegan2(path)


def test_stylegan3_and_tensorflow_are_named(official, tmp_path):
    parts = {"_parameters": {"weight": torch.nn.Parameter(torch.zeros(2, 2))}, "_buffers": {}, "_modules": {}}
    part = official.Persistent("SynthesisInput", {**parts, "size": np.array([36, 36])})
    synthesis = official.Persistent("SynthesisNetwork", {"_parameters": {}, "_buffers": {}, "_modules": {"input": part}})
    path = save_official(official, tmp_path / "r.pkl", change=set_state("_modules", value={"synthesis": synthesis}))
    with pytest.raises(LiminalError, match=r"belongs to StyleGAN3; only StyleGAN2 generators can be added"):
        stylegan2.read_stylegan2(path)
    (tmp_path / "old.pkl").write_bytes(b"\x80\x03cdnnlib.tflib.network\nNetwork\n)\x81.")
    with pytest.raises(LiminalError, match=r"old\.pkl is StyleGAN2's older file for TensorFlow; .* legacy\.py"):
        read_official_pickle(tmp_path / "old.pkl")


# --- malice


class Calls:
    """Pickles to a call of ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.recipe = (function, arguments)

    def __reduce__(self):
        return self.recipe


class Named:
    """Pickles to a call of whatever has that name, which need not exist here: GLOBAL, then arguments, then REDUCE."""

    def __init__(self, module, name, *arguments):
        self.code = f"c{module}\n{name}\n".encode() + pickle.dumps(arguments, protocol=0)[:-1] + b"R"


def code_of(value):
    return value.code + b"." if isinstance(value, Named) else pickle.dumps(value)


def text(harm):
    return repr(str(harm)).encode()


CALLS = [
    ("os", "system", "mkdir {}"),
    ("posix", "system", "mkdir {}"),
    ("nt", "system", "mkdir {}"),
    ("os", "popen", "mkdir {}"),
    ("os", "mkdir", "{}"),
    ("os", "execv", "/bin/mkdir", ("mkdir", "{}")),
    ("subprocess", "Popen", ("mkdir", "{}")),
    ("subprocess", "check_output", ("mkdir", "{}")),
    ("pty", "spawn", ("mkdir", "{}")),
    ("builtins", "eval", "__import__('os').mkdir('{}')"),
    ("builtins", "exec", "import os; os.mkdir('{}')"),
    ("builtins", "open", "{}", "w"),
    ("builtins", "getattr", "x", "__class__"),
    ("builtins", "__import__", "antigravity"),
    ("__builtin__", "eval", "__import__('os').mkdir('{}')"),
    ("io", "open", "{}", "w"),
    ("importlib", "import_module", "antigravity"),
    ("runpy", "_run_code", "import os; os.mkdir('{}')", {}),
    ("timeit", "timeit", "import os; os.mkdir('{}')"),
    ("code", "interact"),
    ("ctypes", "CDLL", "libc.so.6"),
    ("shutil", "rmtree", "{}"),
    ("pathlib", "Path.mkdir", "{}"),
    ("marshal", "loads", b"\x00"),
    ("pickle", "loads", b"cos\nmkdir\n(S'{}'\ntR."),
    ("types", "FunctionType"),
    ("functools", "partial", "x"),
    ("operator", "attrgetter", "__class__"),
    ("copyreg", "_reconstructor", "x", "y", None),
    ("numpy", "load", "{}"),
    ("numpy.testing._private.utils", "runstring", "import os; os.mkdir('{}')", {}),
    ("torch", "load", "{}"),
    ("torch.hub", "load", "x", "y"),
    ("torch.storage", "_load_from_bytes.__globals__", "x"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__", "x"),
    ("torch.serialization", "load", "{}"),
    ("dnnlib.util", "call_func_by_name", "{}"),
    ("dnnlib.util", "open_url", "https://example.org/x"),
    ("torch_utils.persistence", "_src_to_module", "import os; os.mkdir('{}')"),
    ("torch_utils.persistence", "import_hook", "x"),
    ("torch_utils.custom_ops", "get_plugin", "x"),
    ("webbrowser", "open", "https://example.org/x"),
]


def filled(value, harm):
    if isinstance(value, str):
        return value.replace("{}", harm)
    if isinstance(value, bytes):
        return value.replace(b"{}", harm.encode())
    return [filled(part, harm) for part in value] if isinstance(value, tuple) else value


def raw_codes(harm):
    """Pickles that no pickler writes: every other way to name, make or alter something."""
    path, inner = text(harm), b"cos\nmkdir\n(S" + text(harm) + b"\ntR."
    reconstruct, storage = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n", b"ctorch.storage\n_load_from_bytes\n"
    easy = b"cdnnlib.util\nEasyDict\n"
    return {
        "INST": b"(S" + path + b"\nios\nmkdir\n.",
        "OBJ": b"(cos\nmkdir\nS" + path + b"\no.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(S'mkdir'\nS" + path + b"\nt\x81.",
        "NEWOBJ_EX": b"\x80\x04csubprocess\nPopen\n(S'true'\nt}\x92.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93S" + path + b"\n\x85R.",
        "dotted": b"\x80\x04\x8c\x0ddnnlib.util\x00\x00\x8c\x15EasyDict.__init__.eval\x93.",
        "EXT1": b"\x80\x02\x82\x01.",
        "PERSID": b"Pharm\n.",
        "BINPERSID": b"(S'storage'\nt\x80\x02Q.",
        "BUILD on a stand-in": reconstruct + b"}S'make'\ncos\nmkdir\nsb.",
        "attributes of a stand-in": reconstruct + b"(N}S'make'\nS'x'\nstb.",
        "attributes of a class": easy + b"(N}S'__init__'\nS'x'\nstb.",
        "BUILD on a class": easy + b"}S'__init__'\nS'x'\nsb.",
        "items of a class": easy + b"S'x'\nS'y'\ns.",
        "an item that is code": easy + b")\x81S'x'\n" + inner[:-1] + b"s.",
        "meta without a state": reconstruct + b"((dtR.",
        "meta that is code": reconstruct + b"(" + inner[:-1] + b"tR.",
        "storage of no bytes": storage + b"(S'x'\ntR.",
        "append to a stand-in": reconstruct + b"S'x'\na.",
        "a stand-in calls a stand-in": reconstruct + b"(" + storage + b"tR.",
        "memory": b"\x80\x04\x8e" + (2**46).to_bytes(8, "little") + b"x.",
        "memo": b"N\x80\x02r\xff\xff\xff\x7f.",
        "nothing": b"",
        "stack": b"0.",
        "frame": b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b".",
    }


@pytest.fixture
def watched(monkeypatch):
    """Events that only running or importing something raises, while a file is read."""
    if not hasattr(sys, "_liminal_events"):  # a hook stays as long as the process
        sys._liminal_events = None
        kinds = ("exec", "os.", "subprocess.", "pickle.find_class", "ctypes.", "shutil.", "socket.", "webbrowser.", "pty.")

        def hook(event, arguments):
            if sys._liminal_events is not None and event.startswith(kinds):
                sys._liminal_events.append((event, arguments))

        sys.addaudithook(hook)
    yield lambda: setattr(sys, "_liminal_events", []) or sys._liminal_events
    sys._liminal_events = None


def refuse(path, watched):
    """The sentence that a file is refused with; fails where anything was run or imported on the way."""
    modules = set(sys.modules)
    events = watched()
    with pytest.raises(LiminalError) as refused:
        read_official_pickle(path)
    sys._liminal_events = None
    assert events == [], path.name
    assert set(sys.modules) == modules
    return str(refused.value)


def test_malicious_pickles_run_nothing(tmp_path, watched):
    harm = tmp_path / "harm"
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Calls(os.mkdir, str(harm))))
    pickle.loads(path.read_bytes())
    assert harm.exists(), "the corpus is harmful when loaded carelessly"
    harm.rmdir()
    codes = {f"{module}.{name}": (module, name, *filled(tuple(arguments), str(harm))) for module, name, *arguments in CALLS}
    assert len(codes) + len(raw_codes(harm)) >= 60
    for label, (module, name, *arguments) in codes.items():
        for wrap in (lambda code: code, lambda code: b"}S'G_ema'\n" + code + b"s"):
            path.write_bytes(wrap(Named(module, name, *arguments).code) + b".")
            sentence = refuse(path, watched)
            assert label in sentence, "the name is said"
            assert "never run" in sentence
    for label, code in raw_codes(harm).items():
        path.write_bytes(code)
        assert "evil.pkl" in refuse(path, watched), label
    assert not harm.exists()


def test_stand_ins_are_as_before_after_malice(official, tmp_path, watched):
    path = tmp_path / "evil.pkl"
    for code in raw_codes(tmp_path / "harm").values():
        path.write_bytes(code)
        refuse(path, watched)
    assert read_official_pickle(save_official(official, tmp_path / "good.pkl")).tensors


def forged(content):
    """What torch.save wrote of a storage, in whose place something else stands."""
    return Calls(torch.storage._load_from_bytes, content)


def saved(value):
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((9,), (1,), 0),
        ((4,), (3,), 0),
        ((2,), (1,), 7),
        ((4,), (-1,), 3),
        ((10**9, 10**9), (0, 0), 0),
        ((2, 2), (1,), 0),
        (("2",), (1,), 0),
    ],
)
def test_tensors_beyond_their_storage_are_refused(official, tmp_path, size, stride, offset):
    storage = forged(saved(torch.zeros(8)._typed_storage()))
    tensor = Calls(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, {})
    path = save_official(official, tmp_path / "evil.pkl", change=set_state("_buffers", value={"w": tensor}))
    with pytest.raises(LiminalError, match=r"The generator in evil\.pkl is damaged"):
        read_official_pickle(path)


@pytest.mark.parametrize("kind", ["code", "plain pickle", "garbage", "tensor"])
def test_code_in_the_place_of_a_storage_is_not_run(official, tmp_path, kind):
    harm = tmp_path / "harm"
    evil = Calls(os.mkdir, str(harm))
    content = {
        "code": saved({"x": evil}),
        "plain pickle": pickle.dumps(evil, protocol=2),
        "garbage": b"\x00" * 40,
        "tensor": saved({"x": torch.zeros(2)}),
    }[kind]
    tensor = Calls(torch._utils._rebuild_tensor_v2, forged(content), 0, (2,), (1,), False, {})
    path = save_official(official, tmp_path / "evil.pkl", change=set_state("_buffers", value={"w": tensor}))
    assert not harm.exists()
    with pytest.raises(LiminalError, match=r"The generator in evil\.pkl is damaged"):
        read_official_pickle(path)
    assert not harm.exists()


def test_a_module_within_itself_is_refused(official, tmp_path):
    """A state whose _modules hold an object with that same state: without an end."""
    state = {"_parameters": {}, "_buffers": {}, "_modules": {}}
    state["_modules"]["again"] = official.Persistent("Generator", state)
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"G_ema": official.Persistent("Generator", state)}))
    with pytest.raises(LiminalError, match=r"The generator in evil\.pkl is damaged"):
        read_official_pickle(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_any_altered_byte_ends_in_a_generator_or_a_sentence(official, tmp_path):
    whole = save_official(official, tmp_path / "good.pkl", random_network(CONDITIONAL)).read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "altered.pkl"
    for place in random.integers(0, len(whole), 100):
        altered = bytearray(whole)
        altered[place] = random.integers(0, 256)
        path.write_bytes(bytes(altered))
        try:
            stylegan2.read_stylegan2(path)
        except LiminalError:
            continue
    assert not (tmp_path / "harm").exists()

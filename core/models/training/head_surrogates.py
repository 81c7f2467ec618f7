"""Fit the head's surrogates: render heads, ask recognisers and emotion networks, learn relevances, solve the ridge.

``train head-descriptors`` (random heads) and ``train head-expressions`` (the training faces of the emotion chain). What is said of
the random heads is stored in pieces outside the repository (``data.cache_folder``), each written whole or not at all, so that an
interrupted run goes on where it was; latents come from the seed. A piece's name holds a hash of some heads' pixels: another
renderer or another table of latents makes new pieces.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from core.errors import LiminalError
from core.models import registry
from core.models.builtin.face_embedding import EMOTION_NETWORKS, read_whitening
from core.models.builtin.head.expression_surrogate import EMBEDDING
from core.models.builtin.head.surrogate import DRAW, HEAD_SURROGATE_NAME, LOGITS, FeatureScale, draw_latents
from core.models.builtin.head.surrogate_features import expand_features
from core.models.contracts import Classifier, Generator, Recogniser
from core.models.emotions import EMOTIONS
from core.models.engine.engine import count_cores
from core.models.framing import frame_for_classifiers
from core.models.trained_weights import TrainedWeights, read_trained, write_trained
from core.models.training.data import HELD_OUT_SHARE, TrainingFaces, cache_folder
from core.models.training.fit_networks import embed_faces
from core.progress import Progress
from core.writing import write_bytes

RECOGNISERS = ("dlib", "sface")
CLASSIFIERS = ("mini-xception", "tanh-cnn", "small-cnn")
RENDER_BATCH = 16
HASHED_HEADS = 8
"""Heads whose pictures name the pieces: a change that shows in none of them is hardly one."""


@dataclass(frozen=True)
class JudgedHeads:
    """latents (N, d); descriptors (N, D) by recogniser, NaN where no face was found; logits (N, K, 6). The last are held out."""

    seed: int
    latents: Tensor
    descriptors: dict[str, Tensor]
    classifiers: tuple[str, ...]
    logits: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def with_face(self) -> Tensor:
        """(N,) whether every recogniser found the face."""
        return torch.stack([torch.isfinite(rows).all(dim=1) for rows in self.descriptors.values()]).all(dim=0)

    @property
    def trained(self) -> int:
        """How many of them may be fitted to: the first ones."""
        return len(self) - max(1, round(HELD_OUT_SHARE * len(self)))


@dataclass(frozen=True)
class HeadJudges:
    """Who makes the heads, and who says what of them."""

    generator: Generator
    recognisers: Sequence[Recogniser]
    classifiers: Sequence[Classifier]

    @classmethod
    def load(cls) -> HeadJudges:
        """The head and all built-in models that the surrogate predicts."""
        return cls(
            registry.load("head", "generator"),
            [registry.load(name, "recogniser") for name in RECOGNISERS],
            [registry.load(name, "classifier") for name in CLASSIFIERS],
        )

    def judge(self, latents: Tensor) -> dict[str, Tensor]:
        """Latents (n, d) -> descriptors (n, D) by recogniser and logits (n, K, 6), of the 8-bit pictures."""
        parts: dict[str, list[Tensor]] = {}
        with torch.inference_mode():
            for rows in torch.split(latents, RENDER_BATCH):
                images = (self.generator.decode(rows) * 255).round() / 255
                said = {recogniser.name: recogniser.embed(images) for recogniser in self.recognisers}
                framed = frame_for_classifiers(images, self.generator.classifier_frame)
                said[LOGITS] = torch.stack([classifier.logits(framed) for classifier in self.classifiers], dim=1)
                for name, values in said.items():
                    parts.setdefault(name, []).append(values.float().cpu())
        return {name: torch.cat(values) for name, values in parts.items()}


def load_judged_heads(
    count: int,
    seed: int = 0,
    *,
    judges: HeadJudges | None = None,
    folder: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> JudgedHeads:
    """At least ``count`` heads, in whole pieces; pieces that exist already are read, the others made, ``workers`` at a time.

    Raises LiminalError for a count that makes no sense and for a piece that is damaged.
    """
    if not 1 <= count <= 1_000_000:
        raise LiminalError(f"The number of heads must be from 1 to 1000000, not {count}.")
    progress, judges = progress or Progress(), judges or HeadJudges.load()
    pieces = -(-count // DRAW)
    latents = draw_latents(pieces * DRAW, judges.generator.latent_dim, seed)
    key = _hash_head(judges.generator)
    paths = [(folder or cache_folder() / "heads") / f"{key}-{seed}-{index:05d}.safetensors" for index in range(pieces)]
    missing = [index for index, path in enumerate(paths) if not path.is_file()]

    def make(index: int) -> None:
        progress.check()
        write_bytes(paths[index], save(judges.judge(latents[index * DRAW : (index + 1) * DRAW])))

    with ThreadPoolExecutor(workers or count_cores()) as pool:
        jobs = [pool.submit(make, index) for index in missing]
        try:
            for done, job in enumerate(as_completed(jobs), pieces - len(missing) + 1):
                job.result()
                progress.stage(f"Rendering and judging heads: {done * DRAW} of {pieces * DRAW}", done / pieces)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    read = [_read_piece(path, judges) for path in paths]
    joined = {name: torch.cat([piece[name] for piece in read]) for name in read[0]}
    logits = joined.pop(LOGITS)
    return JudgedHeads(seed, latents, joined, tuple(classifier.name for classifier in judges.classifiers), logits)


def _hash_head(generator: Generator) -> str:
    """A name for what draws the heads: its own, and a hash of some pictures."""
    with torch.inference_mode():
        pictures = (generator.decode(draw_latents(HASHED_HEADS, generator.latent_dim, 0)) * 255).round().byte()
    return f"{generator.name}-{hashlib.sha256(pictures.cpu().numpy().tobytes()).hexdigest()[:12]}"


def _read_piece(path: Path, judges: HeadJudges) -> dict[str, Tensor]:
    try:
        piece = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise LiminalError(f"The judged heads in {path} are damaged; delete the file and train again.") from error
    expected: dict[str, tuple[int, ...]] = {recogniser.name: (DRAW, recogniser.embedding_dim) for recogniser in judges.recognisers}
    expected[LOGITS] = (DRAW, len(judges.classifiers), len(EMOTIONS))
    if {name: tuple(values.shape) for name, values in piece.items()} != expected:
        raise LiminalError(f"The judged heads in {path} come from other models; delete the file and train again.")
    return piece


SUBSET, LEARNING_STEPS, RATE = 1000, 40, 0.06
"""Relevances are learnt in so many steps of Adam, each on so many heads drawn anew."""
IRRELEVANT = 0.05
"""Features whose relevance is under this share of the largest are left out: six in ten, for 0.001 of R2 and twice the speed."""
FIRST_PENALTY = 300.0
"""Of the linear ridge whose weights are the first relevances."""


@dataclass(frozen=True)
class FittedTarget:
    """A target's kernel ridge in float64: ``relevance`` (F,), ``kernel`` (rate, linear), ``noise``, ``coefficients`` (A, O)."""

    relevance: Tensor
    kernel: Tensor
    noise: float
    coefficients: Tensor
    offset: Tensor

    def predict(self, features: Tensor, anchors: Tensor) -> Tensor:
        """Standardised features (N, F), (A, F) -> outputs (N, O)."""
        return _kernel(features * self.relevance, anchors * self.relevance, self.kernel) @ self.coefficients + self.offset

    def make_tensors(self, name: str, spread: Tensor) -> dict[str, Tensor]:
        """As they are stored, for outputs in units of ``spread`` (O,)."""
        return {
            f"{name}.relevance": self.relevance.float(),
            f"{name}.coefficients": (self.coefficients * spread).half(),
            f"{name}.offset": (self.offset * spread).float(),
            f"{name}.kernel": self.kernel.float(),
        }


def _kernel(first: Tensor, second: Tensor, kernel: Tensor) -> Tensor:
    alike = first @ second.T
    apart = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1)[None] - 2 * alike
    return torch.exp(-kernel[0] * apart) + kernel[1] * alike


def fit_target(features: Tensor, outputs: Tensor, seed: int) -> FittedTarget:
    """Standardised features (N, F) and outputs (N, O), both float64 -> the kernel ridge whose leave-one-out error is least.

    That error has a closed form: residual i is (K + noise I)^-1 y over the diagonal of that inverse (Rasmussen and Williams 2006,
    equation 5.12). Relevances begin at the sizes of a linear ridge's weights.
    """
    offset = outputs.mean(dim=0)
    centred = outputs - offset
    gram = features.T @ features + FIRST_PENALTY * torch.eye(features.shape[1], dtype=features.dtype)
    sizes = torch.linalg.solve(gram, features.T @ centred).norm(dim=1).clamp_min(1e-9)
    log_relevance = (sizes / sizes.norm()).log().requires_grad_()
    with torch.no_grad():
        first = features[:400] * log_relevance.exp()
        rate = 1 / (torch.pdist(first).square().median() + 1e-12)
    log_kernel = torch.tensor([math.log(float(rate)), math.log(0.1), math.log(0.03)], dtype=features.dtype, requires_grad=True)
    adam = torch.optim.Adam([log_relevance, log_kernel], lr=RATE)
    random = torch.Generator().manual_seed(seed)
    for _ in range(LEARNING_STEPS):
        rows = torch.randperm(len(features), generator=random)[:SUBSET]
        relevant, kernel = features[rows] * log_relevance.exp(), log_kernel.exp()
        covariance = _kernel(relevant, relevant, kernel) + kernel[2] * torch.eye(len(rows), dtype=features.dtype)
        inverse = torch.linalg.inv(covariance)
        missed = (inverse @ centred[rows]) / inverse.diagonal()[:, None]
        loss = missed.square().sum() / (centred[rows] - centred[rows].mean(dim=0)).square().sum()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
    with torch.no_grad():
        relevance, kernel = log_relevance.exp(), log_kernel.exp()
        relevance = torch.where(relevance < IRRELEVANT * relevance.max(), 0.0, relevance)
        relevant = features * relevance
        covariance = _kernel(relevant, relevant, kernel)
        covariance.diagonal().add_(kernel[2])
        coefficients = torch.cholesky_solve(centred, torch.linalg.cholesky(covariance))
    return FittedTarget(relevance.detach(), kernel[:2].detach(), float(kernel[2]), coefficients, offset)


def fit_head_surrogate(
    heads: JudgedHeads, *, command: str, folder: Path | None = None, progress: Progress | None = None
) -> TrainedWeights:
    """Fit one kernel ridge a recogniser and one for all classifiers; figures: R2 on held-out heads, by model and by emotion.

    Heads in which a recogniser found no face are left out. Raises LiminalError where too few are left.
    """
    began, progress = time.monotonic(), progress or Progress()
    numbers = heads.with_face.nonzero()[:, 0]
    anchors, held = numbers[numbers < heads.trained], numbers[numbers >= heads.trained]
    if len(anchors) < 64 or len(held) < 2:
        raise LiminalError(f"A face was found in {len(numbers)} of {len(heads)} heads, too few to fit to; make more of them.")
    features, tensors = _standardise_features(heads.latents, anchors)
    outputs = {**heads.descriptors, LOGITS: heads.logits.flatten(1)}
    r2: dict[str, float] = {}
    figures: dict[str, object] = {"anchors": len(anchors), "held_out": len(held), "r2": r2}
    for index, (name, values) in enumerate(outputs.items()):
        progress.stage(f"Fitting what {name} says to {len(anchors)} heads", index / len(outputs))
        spread = _measure_spread(values[anchors].double(), len(heads.classifiers) if name == LOGITS else 1)
        true = values.double() / spread
        fitted = fit_target(features[anchors], true[anchors], heads.seed)
        predicted = fitted.predict(features[held], features[anchors])
        tensors |= fitted.make_tensors(name, spread)
        if name == LOGITS:
            shape = (len(held), len(heads.classifiers), len(EMOTIONS))
            known, guessed = true[held].view(shape), predicted.view(shape)
            r2 |= {model: _measure_r2(known[:, place], guessed[:, place]) for place, model in enumerate(heads.classifiers)}
            r2[LOGITS] = _measure_r2(true[held], predicted)
        else:
            r2[name] = _measure_r2(true[held], predicted)
            apart = torch.stack([torch.pdist(rows[:1000]) for rows in (true[held], predicted)])
            figures[f"distance_correlation_{name}"] = round(float(torch.corrcoef(apart)[0, 1]), 4)
    return write_trained(
        HEAD_SURROGATE_NAME,
        tensors,
        configuration={
            "seed": heads.seed,
            "heads": len(heads),
            "latent_dim": heads.latents.shape[1],
            "targets": list(outputs),
            "classifiers": list(heads.classifiers),
        },
        data={
            "heads": len(heads),
            "held_out": len(heads) - heads.trained,
            "seed": heads.seed,
            "kind": "rendered heads, drawn at random",
        },
        command=command,
        seed=heads.seed,
        figures=figures,
        seconds=time.monotonic() - began,
        folder=folder,
    )


def _standardise_features(latents: Tensor, anchors: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Latents (N, d), numbers of the anchors -> standardised features (N, F) in float64, and what is stored of them."""
    raw = expand_features(latents).double()
    scale = raw[anchors].std(dim=0)
    network = FeatureScale(raw.shape[1])
    network.mean.copy_(raw[anchors].mean(dim=0))
    network.scale.copy_(torch.where(scale > 1e-4, 1 / scale, 0.0))
    probe = latents[anchors[-1:]]
    stored = {"anchors": anchors.int(), "probe": probe[0].clone(), "probe_features": expand_features(probe)[0]}
    return network(latents).double(), stored | {f"features.{name}": tensor for name, tensor in network.state_dict().items()}


def fit_expression_surrogate(
    faces: TrainingFaces, *, command: str, folder: Path | None = None, progress: Progress | None = None
) -> TrainedWeights:
    """Fit a kernel ridge to the embeddings of rendered heads and one to their teachers' logits; figures: R2 on held-out heads."""
    began, progress = time.monotonic(), progress or Progress()
    encoder = read_trained(faces.chain.encoder, folder)
    embeddings, importance = embed_faces(faces, folder), read_whitening(encoder).spread
    anchors = torch.arange(faces.trained)
    features, tensors = _standardise_features(faces.latents, anchors)
    held = slice(faces.trained, None)
    figures: dict[str, object] = {"anchors": len(anchors), "held_out": len(faces) - len(anchors)}
    spreads = {
        EMBEDDING: (1 / importance).double(),  # as before whitening: what hardly varies hardly counts
        LOGITS: _measure_spread(faces.logits.flatten(1)[: faces.trained].double(), len(EMOTION_NETWORKS)),
    }
    for index, (name, values) in enumerate({EMBEDDING: embeddings, LOGITS: faces.logits.flatten(1)}.items()):
        progress.stage(f"Fitting {name} to {len(anchors)} heads", index / 2)
        true = values.double() / spreads[name]
        fitted = fit_target(features[: faces.trained], true[: faces.trained], faces.seed)
        predicted = fitted.predict(features[held], features[: faces.trained])
        tensors |= fitted.make_tensors(name, spreads[name])
        figures[f"r2_{name}"] = _measure_r2(true[held], predicted)
    return write_trained(
        faces.chain.surrogate,
        tensors,
        configuration={
            "seed": faces.seed,
            "heads": len(faces),
            "latent_dim": faces.latents.shape[1],
            "targets": [EMBEDDING, LOGITS],
            "classifiers": list(EMOTION_NETWORKS),
        },
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures=figures,
        seconds=time.monotonic() - began,
        folder=folder,
    )


def _measure_spread(outputs: Tensor, models: int) -> Tensor:
    """Standard deviations (O,) of outputs (N, O), one for all values of a model: the loudest logits do not decide alone."""
    parts = (outputs - outputs.mean(dim=0)).reshape(len(outputs), models, -1)
    sizes: Tensor = parts.square().mean(dim=(0, 2)).sqrt().clamp_min(1e-6)
    return sizes.repeat_interleave(parts.shape[2])


def _measure_r2(true: Tensor, predicted: Tensor) -> float:
    """Share of the variance of all outputs together that is predicted."""
    missed, around = (true - predicted).square().sum(), (true - true.mean(dim=0)).square().sum()
    return round(1 - float(missed / around.clamp_min(1e-12)), 4)

"""Fit the face embedding and the small networks around it, each with its figures on held-out data.

``train face-embedding``, ``head-embedding``: the whitening, and how much of expression and identity an embedding holds. ``train
emotion-mlp``, ``head-emotion-mlp``: the MLP on the embedding, distilled from the emotion networks; on heads, from what they were
made to show, too, with an action decoder. ``train clip-mlp``: paper B's guiding classifier, from embeddings of labelled pictures.
``train latent-flow``, ``head-flow``: embedding to latent. ``train latent-emotion``: the DCGAN's surrogate, from latent to logits.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.builtin.emotion_mlp import ActionDecoder, EmotionMLPNetwork
from core.models.builtin.face_embedding import (
    EMOTION_NETWORKS,
    FEATURE_BLOCKS,
    FEATURE_WEIGHTS,
    Whitening,
    append_probabilities,
    read_whitening,
)
from core.models.builtin.flow import FlowNetwork
from core.models.builtin.head.latents import INDEX, block
from core.models.builtin.head.surrogate_features import ACTIONS, combine_actions, name_values
from core.models.builtin.surrogate import SURROGATE_NAME, LatentEmotionNetwork
from core.models.emotions import EMOTIONS
from core.models.trained_weights import TrainedWeights, read_trained, write_trained
from core.models.training.data import EmbeddedPictures, TrainingFaces
from core.models.training.loop import TrainingPlan, train_network
from core.progress import Progress

if TYPE_CHECKING:
    import statsmodels.stats.proportion as proportion
else:  # for figures at the end of a training
    proportion = lazy_import("statsmodels.stats.proportion")


def fit_whitening(faces: TrainingFaces, *, embedding_dim: int, command: str, folder: Path | None = None) -> TrainedWeights:
    """Fit the whitening: principal components of the weighted features. Figures: what they hold, on held-out faces."""
    began = time.monotonic()
    features = append_probabilities(faces.features[: faces.trained]).double()
    if not 1 <= embedding_dim < min(features.shape):
        raise LiminalError(f"An embedding of {embedding_dim} values needs more faces and features than that.")
    mean = features.mean(dim=0)
    spread = features.std(dim=0).clamp_min(1e-6)
    sizes = {**FEATURE_BLOCKS, "probabilities": FEATURE_BLOCKS["outputs"]}
    weights = torch.cat([torch.full((size,), _weigh_block(block, size), dtype=torch.float64) for block, size in sizes.items()])
    scale = weights / spread
    centred = (features - mean) * scale
    values, vectors = torch.linalg.eigh(centred.T @ centred / (len(centred) - 1))
    leading = values.flip(0)[:embedding_dim]
    axes = vectors.flip(1)[:, :embedding_dim]
    axes = axes * torch.where(axes.sum(dim=0) < 0, -1.0, 1.0)  # an eigenvector's sign is arbitrary: fix it
    projection = scale[:, None] * axes / leading.sqrt()
    whitening = Whitening(faces.features.shape[1], embedding_dim)
    whitening.mean.copy_(mean)
    whitening.projection.copy_(projection)
    whitening.spread.copy_(leading.sqrt())
    return write_trained(
        faces.chain.encoder,
        {key: tensor.float() for key, tensor in whitening.state_dict().items()},
        configuration={"embedding_dim": embedding_dim, "blocks": FEATURE_BLOCKS, "weights": FEATURE_WEIGHTS},
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures={
            "variance_kept": float(leading.sum() / values.sum()),
            **measure_content(whitening, faces),
        },
        seconds=time.monotonic() - began,
        folder=folder,
    )


def _weigh_block(block: str, size: int) -> float:
    return FEATURE_WEIGHTS[block] if block in ("outputs", "probabilities") else FEATURE_WEIGHTS[block] * (128 / size) ** 0.5


def measure_content(whitening: Whitening, faces: TrainingFaces) -> dict[str, object]:
    """How much an embedding holds: R2 of linear maps from it, fitted on the training faces, measured on the held-out ones.

    expression: to each network's logits; identity: to dlib's descriptor, and the correlation of distances between embeddings
    with distances between descriptors over pairs of faces; latent: to the generator's latent.
    """
    with torch.inference_mode():
        embeddings = whitening(faces.features)
    descriptors = faces.features[:, : FEATURE_BLOCKS["dlib"]]
    explained = _r2(embeddings, faces.logits.flatten(1), faces.trained)
    figures: dict[str, object] = {
        "expression_r2": {
            network: _by_emotion(values)
            for network, values in zip(EMOTION_NETWORKS, explained.view(-1, len(EMOTIONS)), strict=True)
        }
    }
    held = slice(faces.trained, None)
    apart = torch.pdist(embeddings[held][:1500])
    people = torch.pdist(descriptors[held][:1500])
    figures["identity_r2"] = round(float(_r2(embeddings, descriptors, faces.trained).mean()), 4)
    figures["identity_distance_correlation"] = round(float(torch.corrcoef(torch.stack([apart, people]))[0, 1]), 4)
    figures["latent_r2"] = round(float(_r2(embeddings, faces.latents, faces.trained).mean()), 4)
    return figures


def _by_emotion(values: Tensor) -> dict[str, float]:
    """(6,) -> each emotion's value, rounded for a card."""
    return {emotion: round(float(value), 4) for emotion, value in zip(EMOTIONS, values, strict=True)}


def _r2(inputs: Tensor, outputs: Tensor, trained: int) -> Tensor:
    """R2 of a linear map for each output: (N, I), (N, O) -> (O,), on the rows from ``trained`` on."""
    rows = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1).double()
    targets = outputs.double()
    gram = rows[:trained].T @ rows[:trained] + 1e-6 * torch.eye(rows.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, rows[:trained].T @ targets[:trained])
    missed = (targets[trained:] - rows[trained:] @ weights).square().mean(dim=0)
    around = (targets[trained:] - targets[trained:].mean(dim=0)).square().mean(dim=0)
    explained: Tensor = 1 - missed / around.clamp_min(1e-12)
    return explained


def embed_faces(faces: TrainingFaces, folder: Path | None = None) -> Tensor:
    """The embeddings of the training faces by the stored whitening -> (N, E)."""
    with torch.inference_mode():
        vectors: Tensor = read_whitening(read_trained(faces.chain.encoder, folder))(faces.features)
    result: Tensor = vectors.clone()  # outside inference mode: it takes part in training
    return result


MLP_JITTER = 0.1
"""Standard deviation of the noise on whitened embeddings while training: neighbours should get the same emotion."""


def fit_emotion_mlp(
    faces: TrainingFaces,
    *,
    steps: int,
    command: str,
    width: int = 256,
    batch: int = 256,
    folder: Path | None = None,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> TrainedWeights:
    """Fit the emotion MLP by cross-entropy to its teachers' mean probabilities; figures on held-out faces.

    On rendered heads the feelings that a face was made to show are a third teacher, the less so the fainter they are, and an action
    decoder is fitted beside the MLP.
    """
    embeddings, name = embed_faces(faces, folder), faces.chain.classifier
    teachers = faces.logits.softmax(dim=2) if faces.softened is None else faces.softened
    targets = teachers.mean(dim=1)  # (N, 6)
    if faces.softened is not None:
        shown, sure = read_shown_feelings(faces.latents)
        targets = torch.lerp(targets, shown, sure[:, None] / (1 + teachers.shape[1]))
    torch.manual_seed(faces.seed)
    network = EmotionMLPNetwork(embeddings.shape[1], width)
    plan = TrainingPlan(steps=steps, batch=batch, rate=2e-3, seed=faces.seed, weight_decay=1e-2, average=0.99)

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        x = embeddings[rows]
        x = x + MLP_JITTER * torch.randn(x.shape, generator=random)
        return -(targets[rows] * log_softmax(network(x), dim=1)).sum(dim=1).mean()

    seconds = train_network(network, loss, faces.trained, plan, name=name, saved=saved, progress=progress)
    held = slice(faces.trained, None)
    with torch.inference_mode():
        answers = network(embeddings[held]).softmax(dim=1)
    configuration: dict[str, object] = {
        "embedding_dim": embeddings.shape[1],
        "width": width,
        "teachers": list(EMOTION_NETWORKS),
    }
    figures = measure_agreement(answers, teachers[held])
    tensors = network.state_dict()
    if faces.softened is not None:
        clear = sure[held] >= 1
        right = answers.argmax(dim=1) == shown[held].argmax(dim=1)
        figures["accuracy_against_shown_feeling"] = round(float(right[clear].float().mean()), 4)
        decoder, r2 = fit_action_decoder(faces, embeddings, width=width, steps=steps, batch=batch, progress=progress)
        configuration |= {"teachers": [*EMOTION_NETWORKS, "shown feelings"], "actions": list(decoder.names)}
        figures["action_r2"] = r2
        tensors = nn.ModuleDict({"emotions": network, "actions": decoder}).state_dict()
    return write_trained(
        name,
        tensors,
        configuration=configuration,
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures=figures,
        seconds=seconds,
        folder=folder,
    )


CLEAR_STRENGTH = 0.5
"""Sum of the feelings' strengths from which on a face is sure to show them."""


def _read_strengths(latents: Tensor) -> Tensor:
    """The strengths of the six feelings that heads were made to show, (N, d) -> (N, 6)."""
    return name_values(latents)[0][:, [INDEX[emotion] for emotion in EMOTIONS]]


def read_shown_feelings(latents: Tensor) -> tuple[Tensor, Tensor]:
    """The head's latents (N, d) -> shares of the six feelings in what a face was made to show (N, 6), and how sure that is (N,),
    0 to 1."""
    strengths = _read_strengths(latents)
    total = strengths.sum(dim=1)
    return (strengths + 1e-6) / (total + 6e-6)[:, None], (total / CLEAR_STRENGTH).clamp(max=1)


ACTION_JITTER = 0.3
"""As MLP_JITTER: guided embeddings lie further off, and single actions hardly show."""


def fit_action_decoder(
    faces: TrainingFaces, embeddings: Tensor, *, width: int, steps: int, batch: int, progress: Progress | None = None
) -> tuple[ActionDecoder, dict[str, float]]:
    """From embeddings (N, E) to the feelings and facial actions of the head; R2 of each on held-out heads."""
    names = (*EMOTIONS, *ACTIONS)
    values = torch.cat([_read_strengths(faces.latents), combine_actions(faces.latents)], dim=1)
    decoder = ActionDecoder(embeddings.shape[1], width, names)
    decoder.mean.copy_(values[: faces.trained].mean(dim=0))
    decoder.spread.copy_(values[: faces.trained].std(dim=0).clamp_min(1e-6))
    targets = (values - decoder.mean) / decoder.spread
    plan = TrainingPlan(steps=steps, batch=batch, rate=2e-3, seed=faces.seed, weight_decay=0.1, average=0.99)

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        x = embeddings[rows]
        missed: Tensor = decoder.network(x + ACTION_JITTER * torch.randn(x.shape, generator=random)) - targets[rows]
        return missed.square().mean()

    train_network(decoder, loss, faces.trained, plan, name="the action decoder", progress=progress)
    with torch.inference_mode():
        missed = (decoder.network(embeddings[faces.trained :]) - targets[faces.trained :]).square().mean(dim=0)
    r2 = 1 - missed / targets[faces.trained :].var(dim=0).clamp_min(1e-6)
    decoder.weight.copy_(r2.clamp_min(0))
    return decoder, {name: round(float(value), 4) for name, value in zip(names, r2, strict=True)}


def measure_agreement(answers: Tensor, teachers: Tensor) -> dict[str, object]:
    """Agreement with the teachers' mean and with each: first choice, calibration, mean difference. (N, 6), (N, K, 6).

    expected_calibration_error: 10 equal bins of the first choice's probability; its share of agreement with a label drawn from
    the teachers' mean (so the mean's probability of that choice) beside that probability (Naeini et al. 2015).
    """
    mean = teachers.mean(dim=1)
    choice = answers.argmax(dim=1)
    sure = answers.gather(1, choice[:, None])[:, 0]
    right = mean.gather(1, choice[:, None])[:, 0]
    bins = (sure * 10).long().clamp(max=9)
    error = 0.0
    for number in range(10):
        inside = bins == number
        if bool(inside.any()):
            error += float(inside.float().mean()) * abs(float(sure[inside].mean() - right[inside].mean()))
    figures: dict[str, object] = {
        "n": len(answers),
        "accuracy_against_teachers_mean": round(float((choice == mean.argmax(dim=1)).float().mean()), 4),
        "expected_calibration_error": round(error, 4),
        "mean_absolute_difference": _by_emotion((answers - mean).abs().mean(dim=0)),
    }
    for index, name in enumerate(EMOTION_NETWORKS[: teachers.shape[1]]):
        same = (choice == teachers[:, index].argmax(dim=1)).float().mean()
        figures[f"accuracy_against_{name}"] = round(float(same), 4)
    if teachers.shape[1] == 2:
        same = (teachers[:, 0].argmax(dim=1) == teachers[:, 1].argmax(dim=1)).float().mean()
        figures["teachers_agree_with_each_other"] = round(float(same), 4)
    return figures


CLIP_MLP_NAME = "clip-mlp"
CLIP_MLP_JITTER = 0.1
"""Standard deviation of the noise on standardised embeddings while training: neighbours should get the same emotion."""


def fit_clip_classifier(
    pictures: EmbeddedPictures,
    *,
    steps: int,
    command: str,
    seed: int,
    width: int = 256,
    batch: int = 128,
    folder: Path,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> TrainedWeights:
    """Fit the classifier by cross-entropy to the labels; figures on held-out pictures. Pictures of no emotion are left out.

    Raises LiminalError where an emotion has no picture to learn from, or none is held out.
    """
    labelled = pictures.emotions >= 0
    learnt, held = labelled & ~pictures.held_out, labelled & pictures.held_out
    targets = pictures.emotions[learnt]
    missing = next((emotion for index, emotion in enumerate(EMOTIONS) if not bool((targets == index).any())), None)
    if missing is not None:
        raise LiminalError(f"No picture of {missing} is there to learn from; name classes by emotions, or by RAF-DB's numbers.")
    if not bool(held.any()):
        raise LiminalError("No labelled picture is held out, so that nothing could be measured; add some, best in a folder 'test'.")
    x = pictures.vectors[learnt]
    mean, deviation = x.mean(dim=0), x.std(dim=0).clamp_min(1e-6)
    x = (x - mean) / deviation
    torch.manual_seed(seed)
    network = EmotionMLPNetwork(x.shape[1], width)
    plan = TrainingPlan(steps=steps, batch=batch, rate=1e-3, seed=seed, weight_decay=1e-2, average=0.99)

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        jitter = CLIP_MLP_JITTER * torch.randn(len(rows), x.shape[1], generator=random)
        return cross_entropy(network(x[rows] + jitter), targets[rows])

    seconds = train_network(network, loss, len(x), plan, name=CLIP_MLP_NAME, saved=saved, progress=progress)
    _fold_standardisation(network, mean, deviation)
    with torch.inference_mode():
        logits = network(pictures.vectors[held])
    return write_trained(
        CLIP_MLP_NAME,
        network.state_dict(),
        configuration={"embedding_dim": x.shape[1], "width": width, "encoder": pictures.encoder},
        data=pictures.described(),
        command=command,
        seed=seed,
        figures=measure_held_out(logits, pictures.emotions[held]),
        seconds=seconds,
        folder=folder,
    )


def _fold_standardisation(network: EmotionMLPNetwork, mean: Tensor, deviation: Tensor) -> None:
    """Fold the standardisation into the first layer, so that the network reads embeddings unchanged."""
    first = network[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight.div_(deviation)
        first.bias.sub_(first.weight @ mean)


def measure_held_out(logits: Tensor, labels: Tensor) -> dict[str, object]:
    """(N, 6), (N,) -> accuracy with its 95 % Wilson interval beside that of always saying the commonest emotion, and by emotion."""
    right = logits.argmax(dim=1) == labels
    low, high = proportion.proportion_confint(int(right.sum()), len(labels), method="wilson")
    by_emotion = {}
    for index, emotion in enumerate(EMOTIONS):
        of_it = labels == index
        if bool(of_it.any()):
            by_emotion[emotion] = {"recall": round(float(right[of_it].float().mean()), 4), "n": int(of_it.sum())}
    return {
        "n_held_out": len(labels),
        "accuracy": {"share": round(float(right.float().mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)},
        "commonest_emotion": round(float(labels.bincount().max()) / len(labels), 4),
        "cross_entropy": round(float(cross_entropy(logits, labels)), 4),
        "by_emotion": by_emotion,
    }


KEPT_SHARE = 0.6
"""Share of the rows in which a flow that can keep a person is given one."""
FLOW_JITTER = 0.2
"""Standard deviation of the noise on embeddings while training: guided embeddings lie a little off those of real images."""


def fit_latent_flow(
    faces: TrainingFaces,
    *,
    steps: int,
    command: str,
    width: int = 384,
    depth: int = 3,
    batch: int = 192,
    folder: Path | None = None,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> TrainedWeights:
    """Fit the flow by the squared error of its velocity. Figures: that error, with and without the face's own embedding.

    On rendered heads all but the expression is given in a share of the rows (``KEPT_SHARE``), so that the flow can keep a person.
    """
    embeddings, name = embed_faces(faces, folder), faces.chain.decoder
    sizes = {"latent_dim": faces.latents.shape[1], "embedding_dim": embeddings.shape[1], "width": width, "depth": depth}
    free = [] if faces.softened is None else list(block("expression").indices(faces.latents.shape[1])[:2])
    torch.manual_seed(faces.seed)
    network = FlowNetwork(**sizes, free=free)
    for layer in network.blocks:  # every block begins as the identity
        torch.nn.init.zeros_(layer.modulate[1].weight)  # type: ignore[index, union-attr]
    plan = TrainingPlan(steps=steps, batch=batch, rate=1.5e-3, seed=faces.seed, weight_decay=0.1, average=0.999)

    def missed(rows: Tensor, random: torch.Generator, condition: Tensor, kept_share: float = KEPT_SHARE) -> Tensor:
        latents = faces.latents[rows]
        noise = torch.randn(latents.shape, generator=random)
        time = torch.rand(len(rows), generator=random)
        on_the_way = (1 - time[:, None]) * noise + time[:, None] * latents
        if not free:
            error: Tensor = network(on_the_way, time, condition) - (latents - noise)
            return error.square().mean()
        kept = (torch.rand(len(rows), 1, generator=random) < kept_share).float()
        drawn = torch.ones_like(latents) - kept  # (N, d): 1 where a latent is drawn
        drawn[:, slice(*free)] = 1.0
        error = network(drawn * on_the_way + (1 - drawn) * latents, time, condition, kept) - (latents - noise)
        return (drawn * error.square()).sum() / drawn.sum()

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        condition = embeddings[rows]
        return missed(rows, random, condition + FLOW_JITTER * torch.randn(condition.shape, generator=random))

    seconds = train_network(network, loss, faces.trained, plan, name=name, saved=saved, progress=progress)
    held = torch.arange(faces.trained, len(faces))
    figures = {}
    with torch.inference_mode():
        for label, kept_share in {"": 0.0, **({"_of_expressions_with_person_kept": 1.0} if free else {})}.items():
            for other, condition in (("", embeddings[held]), ("_with_another_face_s_embedding", embeddings[held].roll(1, dims=0))):
                error = float(missed(held, torch.Generator().manual_seed(1), condition, kept_share))
                figures[f"velocity_error{label}{other}"] = round(error, 4)
    return write_trained(
        name,
        {key: tensor.half() for key, tensor in network.state_dict().items()},
        configuration={**sizes, **({"free": free} if free else {})},
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures=figures,
        seconds=seconds,
        folder=folder,
    )


def fit_latent_surrogate(
    faces: TrainingFaces,
    *,
    steps: int,
    command: str,
    width: int = 512,
    batch: int = 256,
    folder: Path | None = None,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> TrainedWeights:
    """Fit the surrogate by squared error on standardised logits; figures: R2 on held-out faces."""
    targets = faces.logits.flatten(1)  # (N, K * 6)
    torch.manual_seed(faces.seed)
    network = LatentEmotionNetwork(faces.latents.shape[1], width, faces.logits.shape[1])
    network.mean.copy_(targets[: faces.trained].mean(dim=0))
    network.scale.copy_(targets[: faces.trained].std(dim=0).clamp_min(1e-6))
    plan = TrainingPlan(steps=steps, batch=batch, rate=2e-3, seed=faces.seed, weight_decay=5e-2, average=0.99)

    def loss(rows: Tensor, _: torch.Generator) -> Tensor:
        missed: Tensor = (network(faces.latents[rows]).flatten(1) - targets[rows]) / network.scale
        return missed.square().mean()

    seconds = train_network(network, loss, faces.trained, plan, name=SURROGATE_NAME, saved=saved, progress=progress)
    with torch.inference_mode():
        predicted = network(faces.latents[faces.trained :]).flatten(1)
    held = targets[faces.trained :]
    r2 = 1 - (predicted - held).square().mean(dim=0) / (held - held.mean(dim=0)).square().mean(dim=0).clamp_min(1e-12)
    return write_trained(
        SURROGATE_NAME,
        network.state_dict(),
        configuration={"latent_dim": faces.latents.shape[1], "width": width, "classifiers": list(EMOTION_NETWORKS)},
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures={
            "r2": {
                network_name: _by_emotion(values)
                for network_name, values in zip(EMOTION_NETWORKS, r2.view(-1, len(EMOTIONS)), strict=True)
            }
        },
        seconds=seconds,
        folder=folder,
    )

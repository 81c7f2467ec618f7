"""The emotion MLP's own answers about itself."""

import pytest
import torch

from core.models import registry
from core.models.builtin.emotion_mlp import EmotionMLP, EmotionMLPNetwork
from tests.sampling.emotion.planted import PlantedEncoder


def test_the_sensitivity_of_a_linear_network_is_its_matrix_squared():
    encoder = PlantedEncoder()
    network = EmotionMLPNetwork(encoder.embedding_dim, 4)
    for place in (1, 3):
        network[place] = torch.nn.Identity()
    mlp = EmotionMLP(encoder, network)
    matrix = network[4].weight @ network[2].weight @ network[0].weight  # (6, E)
    matrix = matrix - matrix.mean(dim=0)
    torch.testing.assert_close(mlp.sensitivity, matrix.T @ matrix, rtol=1e-4, atol=1e-6)


def test_few_directions_carry_emotion():
    sensitivity = registry.load("emotion-mlp", "classifier").sensitivity
    values = torch.linalg.eigvalsh(sensitivity).flip(0)
    assert values.min() > -1e-4 * values.max()
    assert values[:20].sum() > 0.9 * values.sum()
    assert torch.trace(sensitivity) == pytest.approx(float(values.sum()), rel=1e-3)

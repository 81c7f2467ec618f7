"""Sheets of the head: what stands where; drawn by a stand-in, since no particular face is needed."""

import pytest
import torch

from core.errors import LiminalError
from core.models import registry
from core.sampling.building import sheets
from core.sampling.images import decode_webp


def test_sheets_show_people_feelings_and_ways(tmp_path, monkeypatch):
    head = registry.load("head", "generator")
    names = [latent.name for latent in head.latent_names]
    drawn = []

    def decode(latents):
        drawn.append(latents[0].clone())
        return torch.full((1, 3, 256, 256), len(drawn) / 300)

    monkeypatch.setattr(head, "decode", decode)
    paths = sheets.build_sheets("head", tmp_path, seed=2)
    sides = {path.stem: decode_webp(path).shape[:2] for path in paths}
    assert sides == {"faces": (8 * 128, 8 * 128), "feelings": (12 * 128, 7 * 128), "ways": (8 * 128, 9 * 128)}
    at_rest, *feelings = drawn[64:71]
    assert (at_rest[head.blocks["expression"]] == 0).all()
    for latent, name in zip(feelings, ("surprise", "fear", "disgust", "happiness", "sadness", "anger"), strict=True):
        changed = [names[place] for place in torch.nonzero(latent != at_rest).flatten().tolist()]
        assert changed == [name]
        assert head.named_values(latent[None])[0][name] == pytest.approx(1.0, abs=1e-4)
    first, last = drawn[64 + 84], drawn[64 + 84 + 8]
    assert torch.allclose(drawn[64 + 84 + 4], (first + last) / 2)
    with pytest.raises(LiminalError, match="no sheet of feelings"):
        sheets.build_sheets("dcgan", tmp_path)

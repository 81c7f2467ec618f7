"""Networks of transformers and diffusers are read without a bar of theirs in the terminal."""

from __future__ import annotations

import pytest

from core.models.custom.loading import read_pretrained


@pytest.fixture
def bars():
    """The libraries' own bars, on as they are in a fresh process; off again afterwards."""
    import diffusers.utils.logging
    import transformers.utils.logging

    both = (transformers.utils.logging, diffusers.utils.logging)
    for each in both:
        each.enable_progress_bar()
    yield
    for each in both:
        each.disable_progress_bar()


def test_no_bar_is_drawn_while_weights_are_read(bars, tmp_path, capfd):
    import diffusers
    import transformers

    small = transformers.ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=32)
    transformers.ViTForImageClassification(small).save_pretrained(tmp_path / "vit")
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2, "block_out_channels": (32, 32)}
    diffusers.UNet2DModel(sample_size=8, **blocks).save_pretrained(tmp_path / "unet", max_shard_size="100KB")
    assert len(list((tmp_path / "unet").glob("*.safetensors"))) > 1  # only a network in several files shows a bar
    capfd.readouterr()
    read_pretrained(transformers.ViTForImageClassification, tmp_path / "vit")
    read_pretrained(diffusers.UNet2DModel, tmp_path / "unet", dtype=None, trust_remote_code=None)
    assert capfd.readouterr().err == ""

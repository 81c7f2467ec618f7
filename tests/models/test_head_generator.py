"""The head as a generator: bytes, sizes, blocks and names, and what it refuses."""

import threading

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from core.errors import LiminalError
from core.models import registry
from core.models.builtin.head.latents import BLOCKS, INDEX, LATENTS
from core.models.builtin.head.people import describe
from core.models.builtin.head.renderer import render


@pytest.fixture(scope="module")
def head():
    return registry.load("head", "generator", "cpu")


def test_it_draws_what_the_renderer_draws_to_the_byte(head):
    latents = head.sample([1, 2, 3])
    with torch.inference_mode():
        images = head.decode(latents)
        large = head.decode_at(latents[:1], 512)
    assert large.shape == (1, 3, 512, 512)
    bytes_now = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert (bytes_now == np.stack([render(describe(row), 256) for row in latents.numpy()])).all()
    assert torch.equal(images, torch.from_numpy(bytes_now).permute(0, 3, 1, 2) / 255)


def test_same_bytes_whatever_threads_and_neighbours(head):
    latents = head.sample(range(10, 16))
    found: dict[int, torch.Tensor] = {}

    def draw(index: int) -> None:
        found[index] = head._painters[256](latents[index : index + 1])  # past the cache of the engine

    threads = [threading.Thread(target=draw, args=(index,)) for index in range(len(latents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with torch.inference_mode():
        together = head.decode(latents)
    assert all(torch.equal(found[index][0], together[index]) for index in found)


def test_blocks_carry_the_truth_about_identity(head):
    assert tuple(head.blocks) == BLOCKS
    assert head.knows_identity
    first, second = head.sample([1]), head.sample([2])
    same = head.redraw_conditions(first, [3])
    assert head.identity_distance(first, same).item() == 0
    assert head.identity_distance(first, second).item() == pytest.approx(1, abs=0.2)
    assert not torch.equal(first[:, head.blocks["scene"]], same[:, head.blocks["scene"]])


def test_values_by_name(head):
    latents = head.sample([5, 6])
    turned = head.set_named_value(latents, "head_turn", -20.0)
    assert [row["head_turn"] for row in head.named_values(turned)] == pytest.approx([-20, -20], abs=1e-3)
    others = [index for index in range(head.latent_dim) if index != INDEX["head_turn"]]
    assert torch.equal(turned[:, others], latents[:, others])
    assert [latent.name for latent in head.latent_names] == [named.name for named in LATENTS]
    with pytest.raises(LiminalError, match="have no names"):
        registry.load("dcgan", "generator", "cpu").named_values(torch.zeros(1, 100))


@pytest.mark.parametrize(
    ("latents", "expected"),
    [
        (torch.zeros(1, 100), "but the shape given is \\(1, 100\\)"),
        (torch.full((1, len(LATENTS)), torch.nan), "is no finite number"),
        (torch.full((1, len(LATENTS)), 51.0), "lies 51 standard deviations out"),
    ],
)
def test_latents_that_are_none_are_refused(head, latents, expected):
    with pytest.raises(LiminalError, match=expected):
        head.decode(latents)


def test_pictures_for_a_search_are_smaller_and_show_the_same(head):
    latents = head.sample(range(4))
    small, shrunk = head.decode_for_search(latents), avg_pool2d(head.decode(latents), 2)
    assert small.shape == shrunk.shape == (4, 3, 128, 128)
    apart = (small - shrunk).abs().mean(dim=(1, 2, 3))
    assert (apart < 0.3 * (small - shrunk.roll(1, 0)).abs().mean(dim=(1, 2, 3))).all()


def test_sizes_that_it_does_not_draw_are_refused(head):
    with pytest.raises(LiminalError, match="draws 256 or 512 pixels, not 300"):
        head.decode_at(head.sample([1]), 300)
    with pytest.raises(LiminalError, match="makes pictures of 64 pixels, not 512"):
        registry.load("dcgan", "generator", "cpu").decode_at(torch.zeros(1, 100), 512)


def test_faces_lie_where_the_generator_says(head):
    """Boxes of YuNet are not dlib's, but their centre and the landmarks must fit what ``framing`` and searches are told."""
    from core.models import yunet

    with torch.inference_mode():
        faces = yunet.load_detector().find_largest(head.decode(head.sample(range(40, 52))))
    assert faces.found.all()
    points = faces.landmarks[:, [0, 1, 3, 4]].mean(dim=0).numpy() / head.image_size
    assert np.abs(points - np.array(head.face_points)).max() < 0.05


def test_the_command_line_prints_the_table_of_latents(head, capsys):
    from core.__main__ import main

    assert main(["models", "show", "head"]) == 0
    shown = capsys.readouterr().out
    assert "no non-commercial restriction" in shown
    assert "18 to 80 years" in shown
    assert all(f"  {latent.name} " in shown for latent in head.latent_names)

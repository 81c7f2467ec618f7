import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Cancelled, LiminalError
from core.progress import Progress, Stage
from core.sampling.emotion import direct
from core.sampling.emotion.morph import EmotionMorph, interpolate_anchors, make_morph
from core.sampling.events import BaseShown, BoundarySampleMade, ClassifierScores
from tests.sampling.emotion.planted import configuration, planted_base, planted_panel


def walk(frames=9, progress=None, **values):
    return make_morph(configuration(**values), frames, progress, base=planted_base(), panel=planted_panel())


def test_from_one_emotion_over_the_boundary_to_the_other():
    found = walk(freedom=1.0)
    assert found.targets == tuple(np.linspace(0, 1, 9))
    assert len(found.pictures) == len(found.opinions) == len(found.latents) == 9
    shares = np.array([opinion["planted-mlp"].raw for opinion in found.opinions])[:, [1, 4]]
    assert shares[0, 0] > shares[0, 1] + 0.3
    assert shares[-1, 1] > shares[-1, 0] + 0.3
    assert abs(shares[4, 0] - shares[4, 1]) < 0.1
    lean = shares[:, 1] / shares.sum(axis=1)
    assert (np.diff(lean) > -0.02).all()  # it leans further with every frame
    assert len(found.flips("planted-mlp")) == 1
    assert found.flips("planted-mlp")[0] in (4, 5)


def test_anchors_are_the_searched_faces():
    found = walk(frames=5)
    start = torch.from_numpy(planted_base().latent)[None]
    for frame, share in ((0, 0.0), (2, 0.5), (4, 1.0)):
        expected = direct.search_boundary(start, configuration(), planted_panel(), share=share)[0]
        assert np.allclose(found.latents[frame], expected.numpy(), atol=1e-6)
    assert np.allclose(found.latents[1], (found.latents[0] + found.latents[2]) / 2, atol=1e-6)


def test_the_same_again():
    first, again = walk(frames=3), walk(frames=3)
    assert first.latents.tobytes() == again.latents.tobytes()
    assert all(np.array_equal(*pair) for pair in zip(first.pictures, again.pictures, strict=True))


def test_events_come_frame_by_frame():
    events = []
    found = walk(5, Progress(events.append))
    assert [event.index for event in events if isinstance(event, BoundarySampleMade)] == list(range(5))
    assert sum(isinstance(event, BaseShown) for event in events) == 1
    fractions = [event.fraction for event in events if isinstance(event, Stage)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    for event in events:
        if isinstance(event, BoundarySampleMade):
            assert np.array_equal(event.image, found.pictures[event.index])
            assert event.opinions == found.opinions[event.index]


def test_cancel():
    progress = Progress()
    progress.report = lambda event: progress.cancel.set() if isinstance(event, BoundarySampleMade) else None
    with pytest.raises(Cancelled):
        walk(5, progress)


@pytest.mark.parametrize("frames", [2, 0, -1, 202])
def test_a_number_of_frames_that_makes_no_sense(frames):
    with pytest.raises(LiminalError, match=f"from 3 to 201 pictures, not {frames}"):
        walk(frames)


def planted_morph(leads):
    """leads: for every frame, the calibrated p of emotion 2 less that of emotion 1."""
    opinions = []
    for lead in leads:
        p = [0.0, 0.4 - lead / 2, 0.1, 0.1, 0.4 + lead / 2, 0.0]
        raw = p[::-1]  # must not be what counts
        opinions.append({"x": ClassifierScores(tuple(raw), tuple(p), tuple(p))})
    n = len(leads)
    return EmotionMorph(
        configuration(), tuple(np.linspace(0, 1, n)), (np.zeros((2, 2, 3), np.uint8),) * n, tuple(opinions), np.zeros((n, 8))
    )


@pytest.mark.parametrize(
    ("leads", "flips"),
    [
        ([-0.5, -0.2, 0.1, 0.6], (2,)),
        ([-0.5, 0.2, -0.1, 0.6], (1, 2, 3)),
        ([0.1, 0.2, 0.3], ()),
        ([-0.3, 0.0, 0.3], (2,)),  # an even frame does not lead
        ([0.3, -0.3, -0.2], (1,)),
    ],
)
def test_flips_are_where_the_lead_changes(leads, flips):
    assert planted_morph(leads).flips("x") == flips


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_between_anchors_is_piecewise_linear(targets):
    random = torch.Generator().manual_seed(0)
    anchors = torch.randn(3, 4, generator=random)
    rows = interpolate_anchors(anchors, targets).numpy()
    for column in range(4):
        assert np.allclose(rows[:, column], np.interp(targets, [0, 0.5, 1], anchors[:, column].numpy()), atol=1e-5)

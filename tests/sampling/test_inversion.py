"""Inversion: planted faces are found again, whatever stops or varies beside them."""

import dataclasses
import io

import numpy as np
import pytest
import skimage
import torch
from PIL import Image

from core.errors import Cancelled, LiminalError
from core.models import registry
from core.models.framing import find_face_frame
from core.models.photos import DEFAULT_FRAME, read_photo
from core.progress import Progress, Stage, redirect_notices
from core.sampling.images import to_pictures
from core.sampling.inversion import InversionConfiguration, InversionModels, InversionStep, invert_photo
from tests.fakes import LATENT_DIM, FakeGenerator, FakePerceptual, FakeRecogniser, FakeSurrogate

FAKE = {"generator": "dcgan", "judges": ("dlib",), "draws": 8, "steps": 150, "learning_rate": 0.3, "prior": 0.0, "pixels": 50.0}


class Smooth(FakePerceptual):
    def distance(self, a, b):
        return 4 * (a - b).square().mean(dim=(1, 2, 3))


def fakes(generator=None):
    return InversionModels(generator or FakeGenerator(), Smooth(), [FakeRecogniser()])


def planted(seed=5):
    generator = FakeGenerator()
    latent = generator.sample([seed])
    return latent[0].numpy(), to_pictures(generator.decode(latent))[0]


def test_the_planted_latent_is_found():
    latent, photo = planted()
    found = invert_photo(photo, InversionConfiguration(**FAKE), models=fakes())
    assert np.abs(found.latent - latent).max() < 0.05  # a grey level is 0.06 of a latent value
    assert found.lpips < 0.01 * found.start_lpips
    assert found.likenesses[0].same_person
    assert np.array_equal(found.photo, photo)
    assert np.abs(found.picture.astype(int) - photo).max() <= 1


def test_a_generator_without_a_gradient_is_searched_through_its_surrogate():
    class Rendered(FakeGenerator):
        differentiable = False

    _, photo = planted()
    models = InversionModels(Rendered(), Smooth(), [FakeRecogniser()], FakeSurrogate())
    heard = []
    progress = Progress(lambda event: heard.append(event) if isinstance(event, InversionStep) else None)
    found = invert_photo(photo, InversionConfiguration(**FAKE), progress, models=models)
    assert found.likenesses[0].distance < 0.05
    assert found.lpips < 0.2 * found.start_lpips
    assert found.led_by == "fake"
    assert heard[-1].picture is not None
    blind = dataclasses.replace(models, judges=[FakeRecogniser(face_until=-100.0)])
    with pytest.raises(LiminalError, match="finds no face in this photograph"):
        invert_photo(photo, InversionConfiguration(**FAKE), models=blind)


def test_the_same_again_gives_the_same_bytes_and_another_seed_other_starts():
    _, photo = planted()
    quick = {**FAKE, "steps": 3, "draws": 64, "starts": 1}
    once, again = (invert_photo(photo, InversionConfiguration(**quick), models=fakes()) for _ in range(2))
    assert once.latent.tobytes() == again.latent.tobytes()
    other = invert_photo(photo, InversionConfiguration(**quick, seed=1), models=fakes())
    assert other.latent.tobytes() != once.latent.tobytes()


def test_the_nearest_of_the_mean_and_the_draws_is_where_it_starts():
    generator = FakeGenerator()
    mean = to_pictures(generator.decode(torch.zeros(1, LATENT_DIM)))[0]
    quick = InversionConfiguration(**{**FAKE, "steps": 1, "starts": 1})
    assert np.array_equal(invert_photo(mean, quick, models=fakes()).start, mean)
    _, photo = planted(7)
    found = invert_photo(photo, quick, models=fakes(), candidates=[3, 7, 9])
    assert np.array_equal(found.start, photo)
    assert found.start_lpips == 0


def test_starts_do_not_depend_on_one_another():
    _, photo = planted()
    alone = invert_photo(photo, InversionConfiguration(**{**FAKE, "steps": 30, "starts": 1}), models=fakes())
    among = invert_photo(photo, InversionConfiguration(**{**FAKE, "steps": 30, "starts": 4}), models=fakes())
    assert among.history[-1] <= alone.history[-1]
    if np.array_equal(among.start, alone.start):
        assert among.latent.tobytes() == alone.latent.tobytes()


def test_the_prior_keeps_the_latent_as_long_as_drawn_ones():
    generator = FakeGenerator()
    far = to_pictures(generator.decode(torch.full((1, LATENT_DIM), 5.0)))[0]
    free = invert_photo(far, InversionConfiguration(**FAKE), models=fakes())
    held = invert_photo(far, InversionConfiguration(**{**FAKE, "prior": 100.0}), models=fakes())
    assert np.square(free.latent).mean() > 15
    assert np.square(held.latent).mean() < 2


def test_progress_rises_and_shows_pictures_and_cancelling_stops():
    _, photo = planted()
    events = []
    invert_photo(photo, InversionConfiguration(**{**FAKE, "steps": 12}), Progress(events.append), models=fakes())
    fractions = [each.fraction for each in events if isinstance(each, Stage)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    steps = [each for each in events if isinstance(each, InversionStep)]
    assert [each.step for each in steps] == list(range(13))
    assert {each.step for each in steps if each.picture is not None} == {0, 5, 10, 12}

    progress = Progress()
    progress.report = lambda event: progress.cancel.set() if isinstance(event, InversionStep) and event.step == 3 else None
    models = fakes()
    with pytest.raises(Cancelled):
        invert_photo(photo, InversionConfiguration(**FAKE), progress, models=models)


class Cramped(FakeGenerator):
    """Room for so many faces with a gradient."""

    def decode(self, latents):
        if latents.requires_grad and len(latents) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().decode(latents)


class Flat(FakeGenerator):
    def decode(self, latents):
        return super().decode(latents.detach())


def test_where_memory_is_short_fewer_runs_go_together_and_it_is_said():
    _, photo = planted()
    quick = InversionConfiguration(**{**FAKE, "steps": 5})
    heard = []
    with redirect_notices(heard.append):
        cramped = invert_photo(photo, quick, models=fakes(Cramped()))
    assert heard[0] == "Not enough memory for 4 attempts at once; going on with 2."
    assert cramped.latent.tobytes() == invert_photo(photo, quick, models=fakes()).latent.tobytes()


def test_a_generator_without_gradient_is_refused(monkeypatch):
    _, photo = planted()
    with pytest.raises(LiminalError, match="has no gradient, so no photograph can be found"):
        invert_photo(photo, InversionConfiguration(**FAKE), models=fakes(Flat()))
    monkeypatch.setattr(type(registry.load("dcgan", "generator")), "differentiable", False)
    with pytest.raises(LiminalError, match="has no gradient"):
        InversionModels.load(InversionConfiguration(generator="dcgan"))


def test_no_picture_is_told_by_repr():
    _, photo = planted()
    found = invert_photo(photo, InversionConfiguration(**{**FAKE, "steps": 1}), models=fakes())
    assert "array" not in repr(found)
    assert "array" not in repr(InversionStep(1, 2, 0.5, photo))


def test_a_generated_face_is_recovered_by_the_real_networks():
    generator = registry.load("dcgan", "generator")
    with torch.inference_mode():
        photo = to_pictures(generator.decode(generator.sample([77])))[0]
    configuration = InversionConfiguration(generator="dcgan", judges=("sface",), steps=60)
    found = invert_photo(photo, configuration, candidates=range(100, 112))
    assert found.lpips < 0.25 * found.start_lpips
    assert found.likenesses[0].same_person


def test_a_real_photograph_comes_nearer():
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(buffer, "PNG")
    photo = read_photo(buffer.getvalue()).image
    configuration = InversionConfiguration(generator="dcgan", judges=("sface",), steps=30, starts=1)
    found = invert_photo(photo, configuration, candidates=range(8))
    assert found.lpips < 0.8 * found.start_lpips


def test_the_frame_of_a_generator_is_stated_or_measured(monkeypatch):
    generator = registry.load("dcgan", "generator")
    assert np.allclose(find_face_frame(generator), DEFAULT_FRAME)
    monkeypatch.setattr(generator, "face_points", None)
    assert np.abs(find_face_frame(generator) - DEFAULT_FRAME).max() < 0.025
    with pytest.raises(LiminalError, match="No face was found in 24 pictures"):
        find_face_frame(FakeGenerator())

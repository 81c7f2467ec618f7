"""The check passes on every model there is and names what is wrong with planted bad ones."""

import importlib.util
import subprocess
import sys

import pytest
import torch

from core.models import check, registry
from core.models.builtin.fer import MINI_XCEPTION_CARD
from core.models.contracts import Classifier, DetectedFaces, Generator, PerceptualDistance, Recogniser
from core.models.emotions import EMOTIONS

INSTALLED = [entry for entry in registry.ENTRIES if importlib.util.find_spec(entry.module.partition(":")[0])]


@pytest.mark.parametrize("entry", INSTALLED, ids=lambda entry: entry.name)
def test_every_registered_model_keeps_its_contract(entry):
    report = check(registry.load(entry.name, entry.kind, "cpu"))
    assert report.findings == ()
    assert report.passed
    assert report.name == entry.name
    assert report.milliseconds > 0


class Named:
    device = torch.device("cpu")
    card = MINI_XCEPTION_CARD  # 64 pixels


class GoodClassifier(Named, Classifier):
    def logits(self, images):
        return images.mean(dim=(2, 3)).repeat(1, len(EMOTIONS) // 3) * torch.arange(6.0)


class ForgetsToNormalise(GoodClassifier):
    def probabilities(self, images):
        return torch.sigmoid(self.logits(images))


class LooksAtNeighbours(GoodClassifier):
    def logits(self, images):
        return super().logits(images - images.mean(dim=0, keepdim=True).nan_to_num() / 2)


class Forgetful(GoodClassifier):
    def logits(self, images):
        return super().logits(images) + torch.randn(6)


class WithoutGradient(GoodClassifier):
    def logits(self, images):
        return super().logits(images.detach())


class FiveEmotions(GoodClassifier):
    def logits(self, images):
        return super().logits(images)[:, :5]


class FailsOnBlank(GoodClassifier):
    def logits(self, images):
        return super().logits(images / images.amax(dim=(1, 2, 3), keepdim=True))


class Raises(GoodClassifier):
    def logits(self, images):
        raise RuntimeError("out of paint")


class OutOfRange(Named, Generator):
    latent_dim, image_size = 8, 4

    def decode(self, latents):
        return latents[:, :3, None, None].expand(-1, 3, 4, 4) * 3


class SharesSeeds(OutOfRange):
    def sample(self, seeds):
        return torch.randn(len(seeds), 8, generator=torch.Generator().manual_seed(sum(seeds)))

    def decode(self, latents):
        return torch.sigmoid(super().decode(latents))


class Lopsided(Named, PerceptualDistance):
    def distance(self, a, b):
        return (a - b).clamp(min=0).mean(dim=(1, 2, 3))


class NeverZero(Named, PerceptualDistance):
    def distance(self, a, b):
        return (a - b).square().mean(dim=(1, 2, 3)) + 0.1


class GoodRecogniser(Named, Recogniser):
    """Finds a face in whatever is not dark."""

    embedding_dim, threshold, threshold_source = 48, 0.5, "chosen for this test"

    def find_faces(self, images):
        dark = (images.mean(dim=(1, 2, 3)) < 0.05).double()
        nothing = dark.masked_fill(dark == 1, torch.nan)
        return DetectedFaces(nothing[:, None, None].expand(-1, 5, 2), nothing[:, None].expand(-1, 4))

    def align(self, images, faces):
        return torch.nn.functional.interpolate(images, size=(64, 64))

    def embed_chips(self, chips):
        return torch.nn.functional.avg_pool2d(chips, 16).flatten(1)

    def distance(self, a, b):
        return (a - b).square().sum(dim=-1)


class InventsFaces(GoodRecogniser):
    def embed(self, images):
        return super().embed(images).nan_to_num()


class SeesFacesInTheDark(GoodRecogniser):
    def find_faces(self, images):
        return super().find_faces(images + 1)


class SeesNone(GoodRecogniser):
    def find_faces(self, images):
        return super().find_faces(images * 0)


class Similarity(GoodRecogniser):
    def distance(self, a, b):
        return (a * b).sum(dim=-1)


class NoThreshold(GoodRecogniser):
    threshold = float("nan")


class WrongWidth(GoodRecogniser):
    embedding_dim = 64


class CutsTheGradient(GoodRecogniser):
    def align(self, images, faces):
        return super().align(images.detach(), faces)


@pytest.mark.parametrize("good", [GoodClassifier, GoodRecogniser])
def test_a_good_model_written_here_passes(good):
    assert check(good()).findings == ()


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (ForgetsToNormalise, "probabilities do not sum to one."),
        (LooksAtNeighbours, "logits depends on the neighbours"),
        (Forgetful, "logits is not deterministic"),
        (WithoutGradient, "logits has no gradient."),
        (FiveEmotions, "logits gives (6, 5), not (6, 6)."),
        (FailsOnBlank, "logits gives values that are not finite."),
        (Raises, "probabilities fails with RuntimeError: out of paint."),
        (OutOfRange, "decode leaves the range [0, 1]"),
        (SharesSeeds, "sample depends on more than each row's own seed."),
        (Lopsided, "distance is not symmetric."),
        (NeverZero, "distance of an image to itself is not 0."),
        (InventsFaces, "embed gives something else than NaN"),
        (SeesFacesInTheDark, "find_faces finds a face in a blank image."),
        (SeesNone, "find_faces finds no face"),
        (Similarity, "distance of a vector to itself is not 0."),
        (NoThreshold, "The threshold is no positive number."),
        (WrongWidth, "embed gives (6, 48), not (6, 64)."),
        (CutsTheGradient, "embed_chips of align has no gradient."),
    ],
)
def test_a_bad_model_is_named_for_what_it_does(bad, sentence):
    report = check(bad())
    assert not report.passed
    assert any(finding.startswith(sentence) for finding in report.findings), report.findings
    assert all(finding.endswith(".") for finding in report.findings)


def test_names_can_be_listed_without_torch():
    code = "import sys, core.models; core.models.check; from core.models import registry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

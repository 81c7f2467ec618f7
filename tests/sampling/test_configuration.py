import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LiminalError
from core.sampling.configuration import IdentityConfiguration, numpy_generator, sample_seed


def test_the_defaults_are_the_papers():
    paper = IdentityConfiguration()
    assert paper.bases_per_batch == 4
    assert paper.positive_directions == 2
    assert paper.positive_steps == (0.2, 0.4, 0.6)
    assert paper.interpolation_steps == (0.25, 0.5, 0.75)
    assert paper.targets == (0.3, 0.4, 0.5)
    assert (paper.sigma, paper.iterations, paper.strategy, paper.population) == (1.0, 100, "cmaes", None)
    assert (paper.faces_needed, paper.face_checks, paper.face_step) == (19, 20, 0.2)
    assert (paper.generator, paper.recogniser) == ("dcgan", "dlib")


@pytest.mark.parametrize(
    "absurd",
    [
        {"bases_per_batch": 0},
        {"bases_per_batch": 2.5},
        {"bases_per_batch": True},
        {"sigma": -1.0},
        {"sigma": math.nan},
        {"sigma": math.inf},
        {"sigma": "1"},
        {"iterations": 0},
        {"population": 3},
        {"positive_steps": (0.4, 0.2)},
        {"positive_steps": (0.2, 0.2)},
        {"positive_steps": (0.0,)},
        {"positive_steps": "0.2"},
        {"interpolation_steps": (0.5, 1.0)},
        {"targets": (0.3, math.nan)},
        {"targets": 0.3},
        {"strategy": "guess"},
        {"seed": -1},
        {"faces_needed": 21},
        {"judges": ("dlib", "dlib")},
        {"semantic": "yes"},
        {"learning_rate": 0.0},
        {"plausibility": -0.1},
    ],
)
def test_absurd_values_get_one_sentence(absurd):
    with pytest.raises(LiminalError) as caught:
        IdentityConfiguration(**absurd)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


rising = st.lists(st.floats(0.01, 0.99), max_size=4, unique=True).map(lambda values: tuple(sorted(values)))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    positive_steps=rising,
    interpolation_steps=rising,
    targets=rising,
    sigma=st.floats(1e-3, 100),
    iterations=st.integers(1, 1000),
    population=st.none() | st.integers(4, 100),
    strategy=st.sampled_from(["cmaes", "gradient"]),
    semantic=st.booleans(),
)
def test_a_configuration_goes_to_plain_values_and_back(**values):
    configuration = IdentityConfiguration(**values)
    assert IdentityConfiguration.from_dict(configuration.to_dict()) == configuration


def test_an_unknown_parameter_is_named():
    with pytest.raises(LiminalError, match="'hue' is no parameter"):
        IdentityConfiguration.from_dict({"hue": 1})


def test_seeds_depend_on_the_whole_path_and_never_change():
    assert sample_seed(7, 0, "base", 1, 2) == 7428815157500885270  # pinned: sets made earlier must be made again alike
    paths = [(seed, batch, role, index) for seed in range(5) for batch in range(5) for role in ("a", "b") for index in range(20)]
    seeds = {sample_seed(*path) for path in paths}
    assert len(seeds) == len(paths)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert sample_seed(1, 12, 3) != sample_seed(1, 1, 23)


def test_random_numbers_of_a_seed_are_its_own():
    first, second = numpy_generator(5), numpy_generator(5)
    other = numpy_generator(6)
    drawn = first.standard_normal(3)
    other.standard_normal(100)
    assert drawn.tolist() == second.standard_normal(3).tolist()

"""Every figure: from its table, from an empty one, and from the degenerate tables that real studies bring."""

import math

import numpy as np
import pandas as pd
import pytest

from core.analysis.estimate import Proportion
from core.figures import answers, emotion, identity, psychophysics, raters, theme, two_sides, verification
from core.figures import features as figures_features
from core.models.emotions import EMOTIONS

TYPES = ["genuine", "positive", "interpolation", "optimized", "negative"]


def pairs(n=60, seed=0):
    rng = np.random.default_rng(seed)
    distance = rng.uniform(0, 1, n)
    return pd.DataFrame(
        {
            "pair_id": [f"p{place}" for place in range(n)],
            "sample_type": np.resize(TYPES, n),
            "similarity": 100 * (1 - distance),
            "distance": distance,
            "latent_distance": rng.uniform(0, 20, n),
            "same": pd.array(distance < 0.4, dtype="boolean"),
        }
    )


def means():
    rows = [(name, step, 0.5, 0.4, 0.6, 20, 0.45) for name in TYPES[1:3] for step in (math.nan, 0.25)]
    return pd.DataFrame(rows, columns=["sample_type", "step", "value", "low", "high", "n", "published"])


def correlations():
    columns = ["sample_type", "measure", "r", "low", "high", "p", "n", "published"]
    rows = [("positive", "dlib", -0.8, -0.9, -0.7, 1e-6, 50, -0.79), ("positive", "LPIPS", -0.1, -0.4, 0.2, 0.5, 50, math.nan)]
    return pd.DataFrame([*rows, ("negative", "dlib", *[math.nan] * 4, 2, math.nan)], columns=columns)


def curves():
    thresholds = np.linspace(0, 1, 21)
    table = pd.DataFrame({"name": "dlib", "threshold": thresholds, "far": thresholds**2, "frr": (1 - thresholds) ** 2})
    return table, pd.DataFrame([{"name": "dlib", "eer": 0.25, "low": 0.2, "high": 0.3, "n": 100, "threshold": 0.5}])


def acceptance():
    rows = [("negative", at, at, max(at - 0.1, 0), min(at + 0.1, 1), 30) for at in (0.0, 0.5, 1.0)]
    return pd.DataFrame(rows, columns=["sample_type", "threshold", "share", "low", "high", "n"])


def way():
    points = pd.DataFrame(
        [("people", at, 1 - at, max(0.9 - at, 0), min(1.1 - at, 1), 40) for at in (0.0, 0.25, 0.5, 1.0)],
        columns=["name", "fraction", "share", "low", "high", "n"],
    )
    curve = pd.DataFrame({"name": "people", "fraction": [0.0, 1.0], "share": [1.0, 0.0]})
    return points, curve, pd.DataFrame([("people", 0.5, 0.4, 0.6)], columns=["name", "threshold", "low", "high"])


def outcomes():
    share = Proportion.of(6, 10)
    row = {"emotion1": "fear", "emotion2": "anger", "success": 6, "bias": 3, "failure": 1, "low": share.low, "high": share.high}
    return pd.DataFrame([row])


def images(n=40):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "sample_id": [f"s{at}" for at in range(n)],
            "entropy": rng.uniform(0, 2.5, n),
            "reaction_time_ms": rng.lognormal(7, 0.4, n),
        }
    )


def features():
    rows = [("smile", 0.2, 0.1, 0.3), ("hair", 0.01, -0.02, 0.04)]
    return pd.DataFrame(rows, columns=["feature", "importance", "low", "high"])


KAPPAS = pd.DataFrame([[1, 0.5, math.nan], [0.5, 1, 0.2], [math.nan, 0.2, 1]], index=list("abc"), columns=list("abc"))

DRAWN = {
    "histogram": (lambda t: identity.plot_similarity_histogram(t, source="simulated"), pairs()),
    "scatter": (lambda t: identity.plot_similarity_by_distance(t, recogniser="dlib", source="simulated", threshold=0.6), pairs()),
    "violins": (lambda t: identity.plot_distance_violins(t, recogniser="dlib", threshold=0.6, source="simulated"), pairs()),
    "means": (lambda t: identity.plot_means(t, measure="accepted", share=True, source="simulated"), means()),
    "correlations": (lambda t: identity.plot_correlations(t, source="simulated"), correlations()),
    "roc": (lambda t: verification.plot_roc(t, curves()[1], source="simulated"), curves()[0]),
    "det": (lambda t: verification.plot_det(t, curves()[1], source="simulated"), curves()[0]),
    "acceptance": (lambda t: verification.plot_acceptance_curve(t, recogniser="dlib", source="simulated"), acceptance()),
    "psychometric": (lambda t: psychophysics.plot_psychometric(t, *way()[1:], source="simulated"), way()[0]),
    "consistency": (lambda t: raters.plot_error_consistency(t, n=9, source="simulated", ceiling=(0.5, 0.4, 0.6)), KAPPAS),
    "votes": (lambda t: answers.plot_votes_per_image(t["votes"], source="simulated"), pd.DataFrame({"votes": [1, 2, 2]})),
    "confusion": (
        lambda t: answers.plot_confusion(t, rows="model", columns="people", source="simulated"),
        pd.DataFrame(np.eye(6, dtype=int), index=EMOTIONS, columns=EMOTIONS),
    ),
    "outcomes": (lambda t: emotion.plot_outcome_shares(t, source="simulated", published=0.8), outcomes()),
    "entropy": (lambda t: emotion.plot_entropy_histogram(t, source="simulated"), images()),
    "times": (lambda t: answers.plot_reaction_times(t, source="simulated"), images()),
    "both": (lambda t: emotion.plot_entropy_by_reaction_time(t, source="simulated", rho=(0.4, 0.3, 0.5)), images()),
    "importances": (lambda t: figures_features.plot_importances(t, r2=(0.4, 0.3, 0.5), n=50, source="simulated"), features()),
    "predicted": (lambda t: figures_features.plot_predictions(t, source="simulated"), pairs().assign(predicted=50.0)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_from_its_table(name):
    make, table = DRAWN[name]
    before = table.copy(deep=True)
    figure = make(table)
    assert figure.data, "something is drawn"
    assert not figure.layout.annotations or name not in ("empty",)
    assert figure.layout.meta["says"].endswith(".")
    assert figure.layout.meta["n"] not in ("0", "")
    assert "nan" not in theme.build_caption(figure).lower().split()
    assert "NaN" not in (theme.dump_figure(figure).replace('"meta"', ""))
    for dark in (False, True):
        assert theme.apply_theme(figure, dark).layout.title.text == theme.SIMULATED_MARK
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("name", DRAWN)
def test_an_empty_table_is_a_sentence(name):
    make, table = DRAWN[name]
    figure = make(table.iloc[:0])
    assert not figure.data
    assert figure.layout.annotations[0].text
    assert figure.layout.meta["n"] == "0"
    assert theme.apply_theme(figure).layout.title.text == theme.SIMULATED_MARK


@pytest.mark.parametrize("name", ["histogram", "scatter", "violins", "means", "acceptance", "psychometric", "outcomes", "both"])
def test_a_single_row_is_drawn_without_nan_in_its_caption(name):
    make, table = DRAWN[name]
    figure = make(table.iloc[:1])
    assert figure.data
    assert "nan" not in theme.build_caption(figure).lower()


def test_ids_travel_with_every_mark():
    for figure in (DRAWN["scatter"][0](pairs()), DRAWN["violins"][0](pairs())):
        carried = [each for trace in figure.data for each in np.asarray(trace.customdata).ravel()]
        assert sorted(carried) == sorted(pairs()["pair_id"])


def test_histogram_bars_add_up_to_the_pairs_of_each_type():
    figure = identity.plot_similarity_histogram(pairs(), source="human")
    assert {trace.name.split(" ")[0]: int(np.sum(trace.y)) for trace in figure.data} == dict.fromkeys(TYPES, 12)


def test_area_of_marks_grows_with_latent_distance():
    table = pairs()
    figure = identity.plot_similarity_by_distance(table, recogniser="dlib", source="human")
    latent = table.set_index("pair_id")["latent_distance"]
    size = pd.Series({key: value for trace in figure.data for key, value in zip(trace.customdata, trace.marker.size, strict=True)})
    assert (size - identity.MARK_SIZES[0]).pow(2).corr(latent.loc[size.index]) > 0.999


def test_violins_say_how_often_threshold_and_people_agree():
    table = pairs()
    figure = identity.plot_distance_violins(table, recogniser="dlib", threshold=0.6, source="human")
    expected = ((table["distance"] < 0.6) == table["same"].astype(bool)).mean()
    assert f"{100 * expected:.0f} %" in figure.layout.meta["says"]
    assert [len(trace.y) for trace in figure.data] == [int((~table["same"]).sum()), int(table["same"].sum())]
    assert {trace.scalemode for trace in figure.data} == {"count"}, "widths are proportional to n"
    given = identity.plot_distance_violins(table, recogniser="dlib", threshold=0.6, source="human", alignment=(0.5, 0.4, 0.6))
    assert "50 % (40 to 60)" in given.layout.meta["says"]


def test_published_values_stand_beside_ours():
    figure = DRAWN["means"][0](means())
    assert list(figure.data[0].x) == [45.0] * 4
    assert list(figure.data[1].x) == [50.0] * 4
    assert list(figure.data[1].error_x.array) == pytest.approx([10.0] * 4)
    text = figure.data[1].y
    assert list(text) == ["positive", "positive 0.25", "interpolation", "interpolation 25 %"]
    assert "<i>−0.79</i>" in DRAWN["correlations"][0](correlations()).data[0].text[0][0]


def test_error_consistency_shows_each_two_once_and_the_ceiling():
    figure = DRAWN["consistency"][0](KAPPAS)
    shown = np.asarray(figure.data[0].z, float)
    assert sorted(shown[np.isfinite(shown)]) == [0.2, 0.5]
    assert "0.50" in figure.layout.annotations[0].text
    nobody = raters.plot_error_consistency(KAPPAS * math.nan, n=9, source="human")
    assert not nobody.data


def test_slow_answers_share_the_last_bar():
    table = pd.DataFrame({"reaction_time_ms": [*np.linspace(500, 1500, 999), 60_000.0]})
    figure = answers.plot_reaction_times(table, source="human")
    assert sum(figure.data[0].y) == 1000
    assert max(figure.data[0].x) < 2000
    assert "paper B" in figure.layout.meta["says"]
    assert figure.layout.shapes


def test_times_of_another_task_than_the_papers_are_not_held_against_its_own():
    figure = answers.plot_reaction_times(pd.DataFrame({"reaction_time_ms": [900.0, 4000.0]}), source="human", published=False)
    assert "paper B" not in figure.to_json()
    assert not figure.layout.shapes
    assert figure.layout.meta["says"] == "The median answer takes 2,450 ms."


def test_activations_show_what_lies_beyond_the_filter():
    logits = np.random.default_rng(0).normal(size=(500, 6))
    limits = np.quantile(logits, 0.75, axis=0)
    figure = emotion.plot_activations(logits, limits, classifier="mini-XCEPTION", marks={"fear": [1.0, 2.0]})
    assert len(figure.data) == 7
    beyond = [
        sum(count for count, colour in zip(trace.y, trace.marker.color, strict=True) if colour == theme.AMBER)
        for trace in figure.data
        if trace.type == "bar"
    ]
    assert np.allclose(beyond, 125, atol=25)
    assert not emotion.plot_activations(logits[:0], limits, classifier="x").data


def test_two_figures_side_by_side_share_their_axes_and_name_everything_once():
    one = DRAWN["acceptance"][0](acceptance())
    both = two_sides.place_side_by_side([("A", one), ("B", one)])
    assert both.layout.xaxis2.matches == "x"
    assert both.layout.yaxis2.matches == "y"
    assert len(both.data) == 2 * len(one.data)
    named = [trace.name for trace in both.data if trace.name and trace.showlegend is not False]
    assert len(named) == len(set(named)) == 1
    assert theme.apply_theme(both).layout.title.text == theme.SIMULATED_MARK
    violins = DRAWN["violins"][0](pairs())
    lines = two_sides.place_side_by_side([("A", violins), ("B", violins)]).layout.shapes
    assert {(line.xref, line.yref) for line in lines} == {("x domain", "y"), ("x2 domain", "y2")}

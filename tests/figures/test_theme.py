"""What every figure says of itself, how it looks in light and dark, and that its colours are told apart by everyone."""

import itertools

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from core.errors import LiminalError
from core.figures import theme

# Machado, Oliveira and Fernandes 2009, IEEE TVCG 15(6), severity 1.0; they act on linear RGB.
SIGHT = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    value = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab_of(colour, sight):
    seen = np.clip(np.array(SIGHT[sight]) @ linear(colour), 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055).reshape(1, 1, 3))[0, 0]


def contrast(first, second):
    darker, lighter = sorted(linear(each) @ [0.2126, 0.7152, 0.0722] for each in (first, second))
    return (lighter + 0.05) / (darker + 0.05)


def in_dark(colours):
    return [theme.DARK[each] for each in colours]


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("shown", [theme.CATEGORIES, in_dark(theme.CATEGORIES)], ids=["light", "dark"])
def test_categories_are_told_apart(shown, sight):
    apart = [deltaE_ciede2000(lab_of(a, sight), lab_of(b, sight)) for a, b in itertools.combinations(shown, 2)]
    assert min(apart) > 13


def test_words_are_readable_and_marks_are_visible_on_both_grounds():
    for turn in (list, in_dark):
        paper, ink, soft, brick = turn([theme.PAPER, theme.INK, theme.SOFT, theme.BRICK])
        assert contrast(ink, paper) > 7
        assert contrast(soft, paper) > 4.5
        assert contrast(brick, paper) > 4.5
        assert min(contrast(each, paper) for each in turn(theme.CATEGORIES)) > 2


@pytest.mark.parametrize("scale", [theme.SCALE, theme.SCALE_OF_POINTS, theme.DIVERGING])
def test_a_scale_rises_in_lightness_alone_so_that_grey_print_and_every_eye_can_read_it(scale):
    for turn in (lambda each: each, theme.DARK.get):
        lightness = [lab_of(turn(colour), "usual")[0] for _, colour in scale]
        steps = np.diff(lightness)
        if scale is theme.DIVERGING:
            steps = steps * np.repeat(np.sign(steps[0]) * np.array([1, -1]), 2)
        assert (np.sign(steps) == np.sign(steps[0])).all()


def test_dark_swaps_every_colour_and_leaves_data_and_the_figure_itself_alone():
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4], customdata=[theme.AMBER, "b"], marker={"color": theme.AMBER}))
    figure.add_bar(x=[1], y=[2], marker={"color": [theme.INDIGO]}, opacity=0.5)
    figure.add_violin(y=[1, 2], fillcolor=theme.fade_colour(theme.TEAL, 0.3))
    figure.add_heatmap(z=[[1, 2]], colorscale=[list(step) for step in theme.DIVERGING])
    theme.describe_figure(figure, says="Two.", n=2, source="simulated")
    light, dark = theme.apply_theme(figure), theme.apply_theme(figure, dark=True)
    text = dark.to_json().replace(theme.AMBER, "", 1)  # customdata keeps its own
    assert not [colour for colour in theme.DARK if colour in text]
    assert dark.data[0].customdata[0] == theme.AMBER
    assert dark.data[0].marker.color == theme.DARK[theme.AMBER]
    assert dark.data[1].marker.color[0] == theme.DARK[theme.INDIGO]
    assert dark.data[2].fillcolor == theme.fade_colour(theme.DARK[theme.TEAL], 0.3)
    assert light.layout.paper_bgcolor == theme.PAPER != dark.layout.paper_bgcolor
    assert figure.data[0].marker.color == theme.AMBER
    assert figure.layout.paper_bgcolor is None
    assert np.array_equal(light.data[0].x, [1, 2])


def test_what_a_figure_says_of_itself_goes_before_what_all_share():
    figure = theme.describe_figure(
        go.Figure(layout={"legend": {"y": -0.2}, "xaxis": {"title": "x"}}), says="A.", n=1, source="human"
    )
    shown = theme.apply_theme(figure)
    assert shown.layout.legend.y == -0.2
    assert shown.layout.legend.orientation == "h"
    assert shown.layout.xaxis.title.text == "x"
    assert shown.layout.xaxis.gridcolor == theme.LINE
    assert shown.layout.meta == figure.layout.meta


@pytest.mark.parametrize("source", ["simulated", "people and simulated"])
def test_simulated_answers_are_marked_in_the_picture_itself(source):
    figure = theme.apply_theme(theme.describe_figure(go.Figure(), says="One.", n=1, source=source))
    assert figure.layout.title.text == theme.SIMULATED_MARK
    assert "simulated answers" in theme.build_caption(figure)


def test_other_answers_are_not_marked():
    assert theme.apply_theme(theme.describe_figure(go.Figure(), says="One.", n=1, source="people")).layout.title.text is None


def test_a_caption_says_n_interval_and_source():
    figure = theme.describe_figure(
        go.Figure(), says="Half do.", n=1200, interval="95 % Wilson interval", source="people and models"
    )
    assert theme.build_caption(figure) == "Half do. (n = 1,200; 95 % Wilson interval; answers of people and values of models)"
    assert theme.build_caption(theme.describe_figure(go.Figure(), says="None.", n=0, source="")) == "None. (n = 0; no answers yet)"


@pytest.mark.parametrize(
    ("says", "source"), [("", "human"), ("The mean is nan.", "human"), ("Half (NaN to 1).", "human"), ("A.", "x")]
)
def test_no_caption_without_a_sentence_with_nan_or_without_a_source(says, source):
    with pytest.raises(LiminalError):
        theme.describe_figure(go.Figure(), says=says, n=1, source=source)


def test_empty_is_a_figure_with_its_sentence():
    figure = theme.build_empty_figure("Nobody has answered yet; send the link to someone.")
    assert "Nobody has answered yet" in figure.layout.annotations[0].text
    assert not figure.data
    assert figure.layout.meta["n"] == "0"


def test_fixed_colours_and_marks_are_different():
    for group in (theme.TYPE_COLOURS, theme.TYPE_SYMBOLS, theme.EMOTION_COLOURS):
        assert len(set(group.values())) == len(group) == 6
    assert theme.pick_colour("genuine", 3) == theme.TYPE_COLOURS["genuine"]
    assert theme.pick_colour("somebody", 7) == theme.CATEGORIES[1]
    assert pd.Series(theme.DASHES).is_unique

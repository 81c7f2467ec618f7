"""Which facial features drive perceived similarity (paper A, section 5.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.analysis.encode import encode, select_answers
from core.analysis.features import FEATURES, measure_features, measure_importance
from core.figures import theme
from core.figures.exhibit import Exhibit, ExhibitView, name_source
from core.figures.theme import Source
from core.progress import Progress
from core.studies.library import Library

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


MAX_FEATURES_SHOWN = 20


def plot_importances(
    table: pd.DataFrame,
    *,
    r2: tuple[float, float, float],
    n: int | str,
    source: Source,
    published: float = 0.45,
    interval: str = "middle 95 % over folds and repeats",
) -> go.Figure:
    """Permutation importance of features: loss of R² where one is shuffled, on pairs that the forest has not seen.

    table: feature (for people), importance (loss of R2), low, high. r2: out of sample, with its interval.
    """
    known = table.dropna(subset=["importance"]).sort_values("importance", ascending=False, kind="stable")
    if known.empty:
        return theme.build_empty_figure("There are too few rated pairs with a face to ask which features matter.", source)
    rows = known.head(MAX_FEATURES_SHOWN).iloc[::-1]
    value, low, high = (rows[name].to_numpy(np.float64) for name in ("importance", "low", "high"))
    sure = low > 0
    figure = go.Figure(
        go.Scatter(
            x=value,
            y=rows["feature"].to_numpy(object),
            mode="markers",
            marker={
                "size": 10,
                "color": np.where(sure, theme.AMBER, theme.FADED).tolist(),
                "symbol": np.where(sure, "circle", "circle-open").tolist(),
                "line": {"width": 1.5},
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(high - value).clip(0),
                "arrayminus": np.nan_to_num(value - low).clip(0),
                "color": theme.SOFT,
                "thickness": 1.5,
                "width": 0,
            },
            customdata=np.column_stack([low, high]),
            hovertemplate="%{y}: %{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})<extra></extra>",
        )
    )
    figure.add_vline(x=0, line={"color": theme.SOFT, "width": 1})
    figure.update_layout(
        xaxis={"title": "loss of R² where the feature is shuffled"},
        yaxis={"type": "category"},
        showlegend=False,
        height=120 + 25 * len(rows),
    )
    between = f"{theme.format_number(r2[1])} to {theme.format_number(r2[2])}"
    fit = f"R² {theme.format_number(r2[0])} ({between}) out of sample; paper A {published:.2f} with other features"
    clear = known[known["low"] > 0].head(3)["feature"].tolist()
    says = (
        f"Differences in {theme.join_names([str(name) for name in clear])} clearly matter for perceived similarity ({fit})."
        if clear
        else f"No single feature clearly matters for perceived similarity ({fit})."
    )
    return theme.describe_figure(figure, says=says, n=n, interval=interval, source=source)


def plot_predictions(table: pd.DataFrame, *, source: Source) -> go.Figure:
    """Out-of-sample predictions against rated similarity. table: pair_id, similarity, predicted."""
    known = table.dropna(subset=["similarity", "predicted"])
    if known.empty:
        return theme.build_empty_figure("There are too few rated pairs with a face for a prediction.", source)
    figure = go.Figure(
        go.Scatter(
            x=known["predicted"].round(2).to_numpy(np.float32),
            y=known["similarity"].round(2).to_numpy(np.float32),
            customdata=known["pair_id"].to_numpy(object),
            mode="markers",
            marker={"size": 6, "color": theme.INDIGO, "opacity": 0.5},
            hovertemplate="predicted %{x:.0f}, people %{y:.0f}<extra></extra>",
        )
    )
    figure.add_scatter(x=[0, 100], y=[0, 100], mode="lines", line={"color": theme.FADED, "dash": "dot"}, hoverinfo="skip")
    figure.update_layout(
        xaxis={"title": "similarity predicted from features", "range": [-2, 102]},
        yaxis={"title": "similarity by people", "range": [-2, 102]},
        showlegend=False,
    )
    off = float((known["similarity"] - known["predicted"]).abs().median())
    return theme.describe_figure(
        figure,
        says=f"The prediction is off by {off:.0f} points of 100 for the median pair.",
        n=f"{len(known):,} pairs",
        source=source,
    )


def exhibit_features(study_data: StudyData, _: ExhibitView, progress: Progress) -> list[Exhibit]:
    """Importance of facial features by a random forest. Measures every face on first use: half a minute for some hundred."""
    codes = encode(select_answers(study_data.ratings, "similarity", excluded=study_data.excluded), study_data.pairs["pair_id"])
    pairs = study_data.pairs.assign(similarity=codes.means())
    images = _load_images(study_data, progress)
    table = measure_features(images, progress=progress.part("Faces", 0, 2)) if images else pd.DataFrame(columns=list(FEATURES))
    importance = measure_importance(pairs, table, titles=FEATURES, basis=codes.basis, progress=progress.part("Forests", 1, 2))
    source = name_source(study_data, codes.basis.source)
    figure = plot_importances(
        importance.table.drop(columns="feature").rename(columns={"title": "feature"}),
        r2=(importance.r2.value, importance.r2.low, importance.r2.high),
        n=f"{importance.r2.n:,} pairs",
        source=source,
        interval=importance.interval,
    )
    definition = (
        f"{len(FEATURES)} values are measured on every face: shape, pose, colours, light, accessories and emotions. A random "
        "forest learns from their differences how alike people find a pair, and is tested on bases that it has not seen. A "
        "feature matters where shuffling it makes the prediction worse. These are not the 37 values of paper A (section 5.5), "
        "which came from a network trained on photographs of celebrities."
    )
    return [
        Exhibit("features", figure, importance.table, definition, importance.note, numbers=importance),
        Exhibit(
            "features-predicted",
            plot_predictions(importance.predicted, source=source),
            importance.predicted,
            "Each mark is a pair: what the forest foretold without knowing its base, and what people said. R² is the share of "
            "the differences that it explains.",
        ),
    ]


def _load_images(study_data: StudyData, progress: Progress) -> dict[str, NDArray[np.uint8]]:
    library = Library()
    images: dict[str, NDArray[np.uint8]] = {}
    for set_id in study_data.sets:
        progress.stage("Reading the pictures", 0.0)
        sample_set = library.load(set_id)
        images |= {name: image for name, image in sample_set.images.items() if study_data.where.get(name) == set_id}
    return images

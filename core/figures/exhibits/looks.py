"""Which differences between two faces make people find them less alike (paper A, section 5.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.answers import chosen, coded
from core.analysis.features import FEATURES, features_of
from core.analysis.importance import similarity_importance
from core.figures import importance as drawn
from core.figures.exhibits.exhibit import Exhibit, View, source_of
from core.progress import Progress
from core.studies.library import Library

if TYPE_CHECKING:
    from core.analysis.material import Material


def features(material: Material, _: View, progress: Progress) -> list[Exhibit]:
    """Random forest on facial features. Measures every face on first use: half a minute for some hundred."""
    codes = coded(chosen(material.ratings, "similarity", excluded=material.excluded), material.pairs["pair_id"])
    pairs = material.pairs.assign(similarity=codes.means())
    images = _images(material, progress)
    table = features_of(images, progress=progress.part("Faces", 0, 2)) if images else pd.DataFrame(columns=list(FEATURES))
    found = similarity_importance(pairs, table, titles=FEATURES, basis=codes.basis, progress=progress.part("Forests", 1, 2))
    source = source_of(material, codes.basis.source)
    figure = drawn.importances(
        found.table.drop(columns="feature").rename(columns={"title": "feature"}),
        r2=(found.r2.value, found.r2.low, found.r2.high),
        n=f"{found.r2.n:,} pairs",
        source=source,
        interval=found.interval,
    )
    definition = (
        f"{len(FEATURES)} values are measured on every face: shape, pose, colours, light, accessories and emotions. A random "
        "forest learns from their differences how alike people find a pair, and is tested on bases that it has not seen. A "
        "feature matters where shuffling it makes the prediction worse. These are not the 37 values of paper A (section 5.5), "
        "which came from a network trained on photographs of celebrities."
    )
    return [
        Exhibit("features", figure, found.table, definition, found.note, numbers=found),
        Exhibit(
            "features-predicted",
            drawn.predicted(found.predicted, source=source),
            found.predicted,
            "Each mark is a pair: what the forest foretold without knowing its base, and what people said. R² is the share of "
            "the differences that it explains.",
        ),
    ]


def _images(material: Material, progress: Progress) -> dict[str, NDArray[np.uint8]]:
    library = Library()
    images: dict[str, NDArray[np.uint8]] = {}
    for set_id in material.sets:
        progress.stage("Reading the pictures", 0.0)
        made = library.load(set_id)
        images |= {name: image for name, image in made.images.items() if material.where.get(name) == set_id}
    return images

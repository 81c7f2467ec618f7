"""By what the map can be coloured: everything that is known of a face, under a name for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from core.analysis.deciders import probabilities
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from ui.analysis.disagreement_filters import TYPES
from ui.analysis.disagreement_views import title_of

if TYPE_CHECKING:
    from core.analysis.material import Material
    from ui.analysis.map_faces import Faces

PLAIN = "nothing"
OFF = "How far off this plane"


@dataclass(frozen=True, eq=False)
class Column:
    """Values in the order of the faces: numbers, or words with None where there is none. says: what it is."""

    values: pd.Series
    says: str = ""

    @property
    def numeric(self) -> bool:
        return is_numeric_dtype(self.values) and not is_bool_dtype(self.values)


def columns(faces: Faces) -> dict[str, Column]:
    """Name -> column; those that hold anything."""
    found: dict[str, Column] = {}
    samples, pairs = faces.samples, faces.pairs
    found["Kind of sample"] = Column(samples["sample_type"].map(lambda name: TYPES.get(str(name), str(name))))
    if faces.kind == "identity":
        bases = list(dict.fromkeys(samples["base_id"]))
        numbers = {name: f"person {place}" for place, name in enumerate(bases, start=1)}
        found["Whose base"] = Column(samples["base_id"].map(numbers), "The person from whom a sample was made.")
        found |= _recognisers(pairs)
        found["How different it looks (LPIPS)"] = Column(pairs["lpips"], "From its base; 0 is the same picture.")
    else:
        found["Made between"] = Column(samples["emotion1"].str.cat(samples["emotion2"], sep=" and "))
    found["Step"] = Column(samples["step"].astype("float64"))
    if faces.material is not None:
        found |= _people(faces, faces.material)
    found |= _classifiers(faces)
    return {name: each for name, each in found.items() if each.values.notna().any()}


def _recognisers(pairs: pd.DataFrame) -> dict[str, Column]:
    found = {}
    for name in [each.removeprefix("distance_") for each in pairs if str(each).startswith("distance_")]:
        found[f"Distance under {title_of(name)}"] = Column(pairs[f"distance_{name}"].astype("float64"), "From its base.")
        if f"accepted_{name}" in pairs:
            said = pairs[f"accepted_{name}"].map({True: "accepted", False: "refused"}, na_action="ignore")
            found[f"Accepted by {title_of(name)}"] = Column(said.astype("object"))
    return found


def _people(faces: Faces, material: Material) -> Mapping[str, Column]:
    if material.kind == "identity":
        from core.analysis.disagreement import identity_spread, similarity_spread

        one = identity_spread(material.pairs, material.ratings, excluded=material.excluded).table
        alike = similarity_spread(material.pairs, material.ratings, excluded=material.excluded).table
        shares = pd.Series(one["share"].to_numpy(), index=one["stimulus"])
        means = pd.Series(alike["mean"].to_numpy(), index=alike["stimulus"])
        own = faces.pairs["pair_id"]
        return {
            "People: the same person": Column(own.map(shares).astype("float64"), "Share of people who say so."),
            "People: how alike": Column(own.map(means).astype("float64"), "Mean of 0 to 100."),
            "People: divided": Column(
                own.map(pd.Series(one["score"].to_numpy(), index=one["stimulus"])).astype("float64"),
                "Standard deviation of 'the same person?', 0.5 at most.",
            ),
        }
    from core.analysis.choices import choices

    votes = choices(material.ratings, faces.samples["sample_id"], excluded=material.excluded).table
    return {
        "People: most chosen": Column(votes["chosen"].where(votes["chosen"] != "").astype("object")),
        "People: divided (bits)": Column(votes["bits"], "Entropy of their choices, corrected for few votes; 2.58 at most."),
        "People: votes": Column(votes["votes"].astype("float64")),
    }


def _classifiers(faces: Faces) -> dict[str, Column]:
    found = {}
    for name in faces.classifiers:
        try:
            p = probabilities(faces.samples, name, faces.steerer)
        except LiminalError:
            continue
        known = np.isfinite(p).all(axis=1)
        said = np.where(known, np.array(EMOTIONS)[np.nan_to_num(p).argmax(axis=1)], None)  # type: ignore[call-overload]
        found[f"{title_of(name)} says"] = Column(pd.Series(said, dtype="object"))
        if name == faces.steerer:
            for place, emotion in enumerate(EMOTIONS):
                found[f"{title_of(name)}: {emotion}"] = Column(pd.Series(p[:, place]), "Probability.")
    return found

"""Some rows of a large data set as a sample set of their own, so that people can be asked about them.

Ids stay what they are, so that the answers find their rows in the data set again. Only the chosen rows, their bases and their
pieces' pictures are read.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image as PILImage

from core.errors import LiminalError
from core.sampling.configuration import IdentityConfiguration
from core.sampling.many.data_set import DataSet
from core.sampling.many.tables import FROM_MANIFEST
from core.sampling.sample_set import CHOSEN, Kind, SampleSet, counts, no_pairs
from core.sampling.tables import PAIRS, SAMPLES, emotion_samples, typed

MOST = 500
"""Pictures that are read one by one, each with its piece: more would keep a page waiting."""


def excerpt(data: DataSet, kind: Kind, stimuli: Sequence[str]) -> SampleSet:
    """Pairs (identity) or faces (emotion) by their ids, as one batch; bases come along, of identity each beside itself too.

    Raises LiminalError where there are none or more than MOST, where the data set lacks one, or where it is damaged.
    """
    wanted = list(dict.fromkeys(stimuli))
    if not 1 <= len(wanted) <= MOST:
        raise LiminalError(f"An excerpt has 1 to {MOST} rows of a data set, not {len(wanted):,}; choose fewer.")
    pairs = _pairs(data, wanted) if kind == "identity" else no_pairs()
    faces = [*pairs["base_id"], *pairs["sample_id"]] if kind == "identity" else wanted
    samples = _samples(data, kind, [*_samples(data, kind, faces)["base_id"], *faces])
    found = samples["sample_id"] if kind == "emotion" else pairs["pair_id"]
    missing = [name for name in wanted if name not in set(found)]
    if missing:
        raise LiminalError(f"The data set {data.folder} has no row '{missing[0]}'; choose rows that it has.")
    places = samples.pop("place").tolist()
    names = samples["sample_id"].tolist()
    images = {name: _image(data.picture(name)) for name in names}
    latents = dict(zip(names, data.latents(places), strict=True))
    configuration = data.configuration(kind)
    if isinstance(configuration, IdentityConfiguration):
        table, columns = pairs, dict(SAMPLES)
    else:
        first = samples[samples["sample_id"] == wanted[0]].iloc[0]
        configuration = replace(configuration, emotion1=str(first["emotion1"]), emotion2=str(first["emotion2"]))
        table, columns = samples, emotion_samples(configuration.judges, configuration.recogniser)
    paths = [f"images/{name}.png" for name in names]
    samples = typed(samples.drop(columns="piece").assign(image=pd.Series(paths, dtype="str")), columns)
    manifest = {**_same(data, kind), "counts": counts(table), "seconds": {}, "data_set": data.title, CHOSEN: wanted}
    if kind == "identity":
        manifest |= {"batches": [0], "searches": [], "evaluations": 0, "base_draws": 0}
    return SampleSet(configuration, samples, pairs, latents, images, manifest)


def _pairs(data: DataSet, wanted: Sequence[str]) -> pd.DataFrame:
    """The pairs, and of each of their bases the one beside itself: who calls that two people may not have looked."""
    asked = pd.DataFrame({"pair_id": list(wanted)}, dtype="str")
    chosen = data.query("select pairs.* from pairs join asked using (pair_id) order by place", asked=asked)
    bases = chosen[["base_id"]].drop_duplicates()
    checks = data.query(
        "select pairs.* from pairs join asked using (base_id) where sample_type = 'genuine' order by place", asked=bases
    )
    found = pd.concat([checks, chosen]).drop_duplicates("pair_id").drop(columns=["place", "piece"])
    return typed(found.assign(batch=0), PAIRS)  # handed out together, wherever they come from


def _samples(data: DataSet, kind: Kind, names: Sequence[str]) -> pd.DataFrame:
    """Rows of the index, in the order of the data set."""
    return data.at(f"samples_{kind}", data.places_of(names)).drop_duplicates("sample_id")


def _same(data: DataSet, kind: Kind) -> dict[str, Any]:
    """What the manifests of all its pieces said."""
    return {name: value for name, value in data.manifest["kinds"][kind].items() if name in FROM_MANIFEST}


def _image(content: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with PILImage.open(io.BytesIO(content)) as opened:
        return np.asarray(opened.convert("RGB"))

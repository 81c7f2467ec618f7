"""A sample set that nobody was asked about, in the form that all analyses take."""

from __future__ import annotations

import pandas as pd

from core.analysis.material import Material, assemble
from core.studies.library import Library
from core.studies.planning import emotion_plan, identity_plan, stimuli_of
from core.studies.ratings import RATINGS, typed
from core.studies.study import NAME_LENGTH, Study


def material_of_set(library: Library, set_id: str, title: str) -> Material:
    """What models say of a set of the library. Raises LiminalError where it holds no such set."""
    made = library.load(set_id)
    stimuli = stimuli_of(made, set_id)
    plan = identity_plan(stimuli) if made.kind == "identity" else emotion_plan(stimuli)
    nobody = typed(pd.DataFrame(columns=list(RATINGS)))
    return assemble(Study(title[:NAME_LENGTH], plan, sample_sets=(set_id,)), stimuli, (), nobody, library)

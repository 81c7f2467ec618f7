"""The report of a study: what people and models said, exhibit by exhibit, in the terminal; and what a report is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.analysis.material import RULES, Material, assemble
from core.analysis.set_material import material_of_set
from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.figures.report.document import chapters
from core.progress import Progress
from core.sampling.sample_set import SampleSet
from core.studies.library import Library, content_id
from core.studies.planning import stimuli_of
from core.studies.store import Store


class OneFolder(Library):
    """A library that holds one sample set, where it lies."""

    def __init__(self, place: Path, set_id: str) -> None:
        super().__init__(place.parent, place.parent)
        self.place, self.set_id = place, set_id

    def folder_of(self, set_id: str) -> Path:
        if set_id != self.set_id:
            raise LiminalError(f"This report is about {self.place} alone, which is not the sample set '{set_id}'.")
        return self.place


def of_set(folder: Path) -> tuple[Material, Library]:
    """A set that nobody was asked about. Raises LiminalError where it cannot be read."""
    set_id = content_id(SampleSet.load(folder))
    library = OneFolder(folder, set_id)
    return material_of_set(library, set_id, folder.resolve().name or "sample set"), library


def of_study(name: str, folder: Path | None, *, everybody: bool = False) -> tuple[Material, Library]:
    """A study of the store, or only what it asked about the set in a folder; LiminalError where these do not belong together."""
    store = Store()
    try:
        study, stimuli, raters, ratings = store.study(name), store.stimuli(name), store.raters(name), store.ratings(name)
    finally:
        store.dispose()
    library = Library()
    if folder is not None:
        made = SampleSet.load(folder)
        set_id = content_id(made)
        if set_id not in study.sample_sets:
            raise LiminalError(f"The study '{study.name}' did not ask about the sample set in {folder}; leave the folder out.")
        own = {each.stimulus for each in stimuli_of(made, set_id)}
        stimuli = [each for each in stimuli if each.stimulus in own or each.is_sentinel]
        ratings = ratings[ratings["stimulus"].isin([each.stimulus for each in stimuli])].reset_index(drop=True)
        study, library = replace(study, sample_sets=(set_id,)), OneFolder(folder, set_id)
    return assemble(study, stimuli, raters, ratings, library, rules=None if everybody else RULES), library


def show(material: Material, *, looks: bool) -> None:
    """Every figure's sentence with n, interval and source."""
    raters = len(material.exclusions.raters)
    mark = "SIMULATED ANSWERS: nobody was asked. " if material.source == "simulated" else ""
    print(f"{mark}'{material.study.name}': {len(material.ratings):,} answers of {raters:,} raters, {len(material.excluded):,} out")
    with TerminalProgress() as shown:
        made = chapters(material, slow=looks, progress=Progress(shown))
    for chapter in made:
        print(f"\n{chapter.section.question}")
        if chapter.problem:
            print(f"  {chapter.problem}")
        for each in chapter.exhibits:
            told = "; ".join(part for part in (f"n = {each.n}", each.interval, each.source) if part)
            print(f"  {each.says}\n    ({told})")
            if each.note and each.note != each.says:
                print(f"    {each.note}")

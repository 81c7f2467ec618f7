"""The report of a study in the terminal, exhibit by exhibit, and the study data that a report is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.analysis.study_data import DEFAULT_RULES, StudyData, build_set_data, build_study_data
from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.figures.report import build_chapters
from core.progress import Progress
from core.sampling.sample_set import SampleSet
from core.studies.library import Library, hash_sample_set
from core.studies.planning import list_stimuli
from core.studies.store import Store


class SingleSetLibrary(Library):
    """A library that holds one sample set, where it lies."""

    def __init__(self, place: Path, set_id: str) -> None:
        super().__init__(place.parent, place.parent)
        self.place, self.set_id = place, set_id

    def folder_of(self, set_id: str) -> Path:
        if set_id != self.set_id:
            raise LiminalError(f"This report is about {self.place} alone, which is not the sample set '{set_id}'.")
        return self.place


def open_set(folder: Path) -> tuple[StudyData, Library]:
    """A set that nobody was asked about. Raises LiminalError where it cannot be read."""
    set_id = hash_sample_set(SampleSet.load(folder))
    library = SingleSetLibrary(folder, set_id)
    return build_set_data(library, set_id, folder.resolve().name or "sample set"), library


def open_study(name: str, folder: Path | None, *, everybody: bool = False) -> tuple[StudyData, Library]:
    """A study of the store, or only what it asked about the set in a folder; LiminalError where these do not belong together."""
    store = Store()
    try:
        study, stimuli, raters, ratings = store.study(name), store.stimuli(name), store.raters(name), store.ratings(name)
    finally:
        store.dispose()
    library = Library()
    if folder is not None:
        made = SampleSet.load(folder)
        set_id = hash_sample_set(made)
        if set_id not in study.sample_sets:
            raise LiminalError(f"The study '{study.name}' did not ask about the sample set in {folder}; leave the folder out.")
        own = {each.stimulus for each in list_stimuli(made, set_id)}
        stimuli = [each for each in stimuli if each.stimulus in own or each.is_sentinel]
        ratings = ratings[ratings["stimulus"].isin([each.stimulus for each in stimuli])].reset_index(drop=True)
        study, library = replace(study, sample_sets=(set_id,)), SingleSetLibrary(folder, set_id)
    return build_study_data(study, stimuli, raters, ratings, library, rules=None if everybody else DEFAULT_RULES), library


def print_study_report(material: StudyData, *, looks: bool) -> None:
    """Every figure's sentence with n, interval and source."""
    raters = len(material.exclusions.raters)
    mark = "SIMULATED ANSWERS: nobody was asked. " if material.source == "simulated" else ""
    print(f"{mark}'{material.study.name}': {len(material.ratings):,} answers of {raters:,} raters, {len(material.excluded):,} out")
    with TerminalProgress() as shown:
        made = build_chapters(material, slow=looks, progress=Progress(shown))
    for chapter in made:
        print(f"\n{chapter.section.question}")
        if chapter.problem:
            print(f"  {chapter.problem}")
        for each in chapter.exhibits:
            told = "; ".join(part for part in (f"n = {each.n}", each.interval, each.source) if part)
            print(f"  {each.says}\n    ({told})")
            if each.note and each.note != each.says:
                print(f"    {each.note}")

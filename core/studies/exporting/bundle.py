"""A whole study as one zip file: answers, what was asked about, the pictures with their latents and scores, and a data card.

    README.md         the data card, for people: what it holds, how it came about, what it must not be used for
    croissant.json    the same for machines (Croissant 1.0, MLCommons, http://mlcommons.org/croissant/1.0, on top of schema.org)
    study.json        plan, name, marks; format and version
    stimuli.parquet   what was asked about, in order
    raters.parquet    who took part: order of trials and times; no secrets, demographics only on request
    ratings.parquet   every answer, the columns of core.studies.ratings.RATINGS
    participants.parquet   only on request: what a panel calls the raters
    sets/<id>/...     the sample sets (core.sampling.sample_set) with pictures, latents and what models say
    hashes.json       SHA-256 of every other file

Equal studies give equal bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from core.errors import LiminalError
from core.studies.exporting.psych_ds import make_psych_ds_files
from core.studies.exporting.tables import parquet_bytes
from core.studies.library import LABEL_FILE, MEDIA_TYPES, Library
from core.studies.ratings import RATINGS, SOURCES
from core.studies.recruitment import DEPARTURES, StudySettings
from core.studies.store import ParticipantRecord, Store
from core.studies.study import ORIGINS, Rater, RatingPlan, Stimulus, Study
from core.studies.words import load_words

COLUMN_MEANINGS = {
    "rating_id": "identifier of the answer, a UUID",
    "study": "name of the study",
    "rater": "who answered: a name that the study gave, not the person's",
    "session": "one sitting of a rater",
    "trial": "place in the rater's order, from 0",
    "stimulus": "what was shown: a pair or one face; see stimuli.parquet",
    "task": "similarity, identity, emotion, label or scale",
    "value": "0 to 100 for similarity; 1 (same person) or 0 for identity; a name for emotion and label; a point for scale",
    "reaction_time_ms": "from the picture to the answer, in milliseconds; empty where it was not measured",
    "is_sentinel": "whether the trial checked attention: its right answer is known",
    "source": "human, simulated or model",
    "presented": "JSON: asked and achieved durations, refresh rate, dropped frames, input device",
    "created_at": "when the answer was given, UTC; 1970-01-01 where that is not known",
}
"""Descriptions of the columns of ratings.parquet."""


OWN_PICTURES = (
    "The owner of the study brought pictures along; no generator made them. They may show real people, who agreed to what the "
    "owner asked them for and to nothing else: ask the owner before you show or pass them on."
)


def describe_origin(study: Study, ratings: pd.DataFrame) -> str:
    """One sentence on where the answers come from; simulated ones are always named."""
    sources = ratings["source"].value_counts()
    simulated, models = int(sources.get("simulated", 0)), int(sources.get("model", 0))
    if study.source == "simulated" or simulated:
        part = "All" if simulated == len(ratings) else f"{simulated:,} of {len(ratings):,}"
        return f"**Simulated**: {part} answers come from simulated observers and not from people."
    if models:
        return f"{models:,} of {len(ratings):,} answers come from models and not from people."
    if study.origin == "published":
        return "The values were printed in a publication; nobody was asked by this program."
    if study.origin == "imported":
        return "The answers were brought in from elsewhere; nobody was asked by this program."
    return "The answers were given by people who took part through this program."


def describe_study(study: Study, ratings: pd.DataFrame) -> str:
    """What was asked and where the answers come from, plain text."""
    usual = {"identity": "is it one person?", "emotion": "which emotion is it?"}
    question = usual.get(study.plan.asks) or _describe_own_question(study.plan)
    return f"Answers to: {question} {describe_origin(study, ratings).replace('**', '')}"


def _describe_own_question(plan: RatingPlan) -> str:
    """The question as raters read it, and the answers to choose from."""
    if plan.asks == "scale":
        return f"{plan.wording} From 1 ({plan.scale_low}) to {plan.scale_points} ({plan.scale_high})."
    return f"{plan.wording or load_words('en').say('ask.labels')} One of: {', '.join(plan.labels)}."


ADAPTIVE_ORDER = (
    "adaptive. Each next stimulus was chosen by the rater's answers so far (along axes by the psi method, else by expected "
    "information), so that who saw what is not random and stimuli have unequal numbers of answers"
)


def make_data_card(
    study: Study,
    stimuli: Sequence[Stimulus],
    raters: Sequence[Rater],
    ratings: pd.DataFrame,
    missing: Sequence[str],
    demographics: bool,
    own: Sequence[str] = (),
) -> str:
    """The data card, Markdown for README.md. own: the sets of pictures that the owner brought along."""
    plan = study.plan
    usual = {"identity": "whether two faces show one person.", "emotion": "which of six emotions a face shows."}
    question = usual.get(plan.asks) or _describe_own_question(plan)
    people = ratings["rater"].nunique()
    about = sum(stimulus.is_sentinel for stimulus in stimuli)
    lines = [
        f"# {plan.title or study.name}",
        "",
        f"Study '{study.name}': {question} {describe_origin(study, ratings)}",
        "",
        f"- Answers: {len(ratings):,} from {people:,} {'rater' if people == 1 else 'raters'}",
        f"- Asked about: {len(stimuli):,} stimuli, of which {about:,} check attention",
        f"- Begun: {study.created_at.date().isoformat()}",
    ]
    asked_here = study.asks_people
    if asked_here and plan.kind == "emotion":
        lines.append(f"- Shown for {plan.image_ms} ms after a cross of {plan.fixation_ms} ms, good to one frame of a browser")
    if plan.adaptive:
        lines.append(f"- Order: {ADAPTIVE_ORDER}")
    if study.note:
        lines += ["", "## Note", "", study.note]
    if own:
        lines += ["", "## How the pictures came about", "", OWN_PICTURES]
    if len(own) < len(study.sample_sets):
        lines += [
            *([] if own else ["", "## How the pictures came about"]),
            "",
            f"{'Other' if own else 'The'} faces were made by a computer and show nobody who lives; how each was made, by which "
            "models and with which seeds stands in sets/*/manifest.json.",
        ]
    if missing:
        lines.append(f"Not in this file are the pictures of: {', '.join(missing)}.")
    if asked_here:
        lines += [
            "",
            "## Privacy",
            "",
            "People took part under names that the study gave them. The codes by which they come back are not in this file. "
            f"What they said about themselves is {'in raters.parquet' if demographics else 'not in this file'}.",
            "What people agreed to:",
            "",
            *(f"> {line}" for line in plan.consent.splitlines()),
        ]
    lines += [
        "",
        "## Use",
        "",
        "Made to compare models with people. It does not show how safe a device is, and must not be used to identify people or to "
        "infer what somebody feels. The licence of the answers is the study owner's to give; the pictures follow their models'.",
        "",
        "## Columns of ratings.parquet",
        "",
        *(f"- `{name}`: {meaning}" for name, meaning in COLUMN_MEANINGS.items()),
        "",
        "dataset_description.json and data/*_data.csv are the same answers as Psych-DS (https://psych-ds.github.io) wants them; "
        "there, text that a spreadsheet would compute has an apostrophe in front.",
        "",
        "hashes.json holds the SHA-256 of every other file. Bring the file back with `python -m core study import FILE`.",
        "",
    ]
    return "\n".join(lines)


CROISSANT_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The JSON-LD context that the Croissant specification prescribes."""

ENCODING_FORMATS = {
    ".json": "application/json",
    ".parquet": "application/x-parquet",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".npz": "application/zip",
}
CROISSANT_TYPES = {"int64": "sc:Integer", "float64": "sc:Float", "bool": "sc:Boolean"}


def make_croissant(study: Study, ratings: pd.DataFrame, hashes: Mapping[str, str], own: Sequence[str] = ()) -> dict[str, Any]:
    """JSON-LD that describes a bundle: its files with their SHA-256 and the columns of the answers.

    hashes: path -> SHA-256 of the bundle's files so far. own: as of ``make_data_card``. Pictures are described by the hash list,
    not one by one.
    """
    plan = study.plan
    files = [path for path in hashes if not path.startswith("sets/") or path.endswith(".parquet")]
    return {
        "@context": dict(CROISSANT_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": plan.title or study.name,
        "description": describe_study(study, ratings),
        "version": "1.0.0",
        "datePublished": study.created_at.date().isoformat(),
        "isLiveDataset": False,
        "rai:dataCollection": describe_origin(study, ratings).replace("**", ""),
        "rai:personalSensitiveInformation": "Answers of people under given names; "
        + ("pictures that the owner brought along may show real people." if own else "the faces are synthetic."),
        "rai:dataUseCases": "Comparing models with people; not for identifying people or inferring what somebody feels.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path,
                "contentUrl": path,
                "encodingFormat": next(kind for ending, kind in ENCODING_FORMATS.items() if path.endswith(ending)),
                "sha256": hashes[path],
            }
            for path in files
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "ratings",
                "name": "ratings",
                "description": "One row an answer.",
                "key": {"@id": "ratings/rating_id"},
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"ratings/{name}",
                        "name": name,
                        "description": COLUMN_MEANINGS[name],
                        "dataType": "sc:DateTime" if kind.startswith("datetime") else CROISSANT_TYPES.get(kind, "sc:Text"),
                        "source": {"fileObject": {"@id": "ratings.parquet"}, "extract": {"column": name}},
                    }
                    for name, kind in RATINGS.items()
                ],
            }
        ],
    }


BUNDLE_FORMAT = "liminal study"
BUNDLE_VERSION = 1

STUDY_FILE, STIMULI_FILE, RATERS_FILE, RATINGS_FILE, HASHES_FILE = (
    "study.json",
    "stimuli.parquet",
    "raters.parquet",
    "ratings.parquet",
    "hashes.json",
)
PARTICIPANTS_FILE = "participants.parquet"
CARD_FILE, CROISSANT_FILE = "README.md", "croissant.json"

SET_FILES = ("manifest.json", "samples.parquet", "pairs.parquet", "latents.npz", LABEL_FILE)
"""What a set's folder may hold beside its images."""


@dataclass(frozen=True)
class BundleContents:
    """What was written. missing: ids of the study's sample sets whose pictures are not in it; hidden: those of them that hold
    pictures that the owner brought along, which were not asked for; the library does not hold the others.
    """

    answers: int
    pictures: int
    missing: tuple[str, ...]
    hidden: tuple[str, ...] = ()


def make_bundle(
    store: Store,
    library: Library,
    name: str,
    *,
    demographics: bool = False,
    participants: bool = False,
    own_pictures: bool = False,
) -> bytes:
    """A study's bundle in memory, for a download. Raises LiminalError where there is no such study."""
    buffer = io.BytesIO()
    about = {"demographics": demographics, "participants": participants, "own_pictures": own_pictures}
    write_bundle(store, library, name, buffer, **about)
    return buffer.getvalue()


def write_bundle(
    store: Store,
    library: Library,
    name: str,
    target: BinaryIO,
    *,
    demographics: bool = False,
    participants: bool = False,
    own_pictures: bool = False,
) -> BundleContents:
    """Write a study's bundle to a stream; only one picture at a time is in memory.

    demographics: also what people said about themselves. participants: also what a panel calls them. own_pictures: also the sets
    of pictures that the owner brought along, which may show real people. The codes by which raters
    come back, the link's secret and where people are sent never leave.
    """
    study, stimuli, raters, ratings = store.study(name), store.stimuli(name), store.raters(name), store.ratings(name)
    own = tuple(set_id for set_id in study.sample_sets if library.has_own_pictures(set_id))
    hidden = () if own_pictures else own
    missing = tuple(set_id for set_id in study.sample_sets if not _has_set(library, set_id) or set_id in hidden)
    hashes: dict[str, str] = {}
    pictures = 0
    with zipfile.ZipFile(target, "w") as archive:

        def add(path: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(path)  # with a fixed date: equal studies give equal bytes
            entry.compress_type = zipfile.ZIP_DEFLATED if path.endswith((".json", ".md", ".csv")) else zipfile.ZIP_STORED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
            if path != HASHES_FILE:
                hashes[path] = hashlib.sha256(content).hexdigest()

        add(STUDY_FILE, _to_json(study_to_record(study)))
        add(STIMULI_FILE, _to_parquet(make_stimuli_frame(stimuli)))
        add(RATERS_FILE, _to_parquet(make_raters_frame(raters, demographics)))
        add(RATINGS_FILE, parquet_bytes(ratings))
        about = describe_study(study, ratings)
        for path, content in make_psych_ds_files(study, stimuli, ratings, about, COLUMN_MEANINGS).items():
            add(path, content)
        if participants:
            add(PARTICIPANTS_FILE, _to_parquet(make_participants_frame(store.participants(name))))
        for set_id in study.sample_sets:
            if set_id not in missing:
                for path, content in _read_set_files(library.folder_of(set_id)):
                    add(f"sets/{set_id}/{path}", content)
                    pictures += path.startswith("images/")
        add(CARD_FILE, make_data_card(study, stimuli, raters, ratings, missing, demographics, own).encode())
        add(CROISSANT_FILE, _to_json(make_croissant(study, ratings, hashes, own)))
        add(HASHES_FILE, _to_json(dict(sorted(hashes.items()))))
    return BundleContents(len(ratings), pictures, missing, hidden)


def study_to_record(study: Study) -> dict[str, Any]:
    """A study as plain JSON values, without its link's secret and without where people are sent, which may hold a panel's codes."""
    values = asdict(study) | {"plan": study.plan.to_dict(), "created_at": study.created_at.isoformat()}
    values["settings"] = {name: value for name, value in study.settings.to_dict().items() if name not in DEPARTURES}
    values["sample_sets"] = list(study.sample_sets)
    values.pop("token")
    return {"format": BUNDLE_FORMAT, "format_version": BUNDLE_VERSION, "study": values}


def study_from_record(record: Mapping[str, Any], name: str | None = None) -> Study:
    """The study of a record of ``study_to_record``, with a new link. name: instead of the recorded one.

    Raises KeyError, TypeError, ValueError or LiminalError for what is no record of a study.
    """
    values = dict(record["study"])
    values["plan"] = RatingPlan.from_dict(values["plan"])
    values["settings"] = StudySettings.from_dict(values.get("settings", {}))  # earlier versions had none
    values["created_at"] = datetime.fromisoformat(values["created_at"])
    values["sample_sets"] = tuple(map(str, values["sample_sets"]))
    if values["source"] not in SOURCES:
        raise ValueError(values["source"])
    if "published" in values:  # earlier versions, which did not tell imported from published
        values["origin"] = "imported" if values.pop("published") is True else "here"
    if values["origin"] not in ORIGINS or not isinstance(values["closed"], bool):
        raise ValueError(values["origin"])
    return Study(**{**values, "name": name or values["name"]})


def make_stimuli_frame(stimuli: Sequence[Stimulus]) -> pd.DataFrame:
    """A table with a row for each stimulus; images and details as JSON."""
    rows = [
        asdict(stimulus) | {"images": json.dumps(stimulus.images), "details": json.dumps(stimulus.details)} for stimulus in stimuli
    ]
    return pd.DataFrame(rows, columns=list(Stimulus.__dataclass_fields__)).astype(
        {name: "bool" if name == "is_sentinel" else "str" for name in Stimulus.__dataclass_fields__}
    )


def make_raters_frame(raters: Sequence[Rater], demographics: bool) -> pd.DataFrame:
    """A table with a row for each rater, without the code; demographics as JSON, empty unless asked for."""
    columns = [name for name in Rater.__dataclass_fields__ if name != "code"]
    hidden = {} if demographics else {"demographics": "{}"}
    rows = [{name: _to_text(getattr(rater, name)) for name in columns} | hidden for rater in raters]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns, "str"))


def make_participants_frame(records: Sequence[ParticipantRecord]) -> pd.DataFrame:
    """A table with a row for each rater of whom a link said something; all parameters of the link as JSON."""
    rows = [(record.rater, record.participant, json.dumps(record.parameters)) for record in records]
    return pd.DataFrame(rows, columns=["rater", "participant", "parameters"]).astype("str")


def _to_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return value.isoformat() if isinstance(value, datetime) else json.dumps(value)


def _read_set_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(path in the set's folder, content) of a set's files, in a fixed order."""
    try:
        for name in SET_FILES:
            if (folder / name).is_file():
                yield name, (folder / name).read_bytes()
        for path in sorted((folder / "images").iterdir()):
            if path.suffix in MEDIA_TYPES:
                yield f"images/{path.name}", path.read_bytes()
    except OSError as error:
        raise LiminalError(f"The sample set {folder.name} cannot be read ({error.strerror or error}); copy it again.") from error


def _has_set(library: Library, set_id: str) -> bool:
    try:
        library.folder_of(set_id)
    except LiminalError:
        return False
    return True


def _to_parquet(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet(index=False)


def _to_json(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

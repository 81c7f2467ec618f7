"""The data card for machines: Croissant 1.0 (MLCommons, http://mlcommons.org/croissant/1.0), a vocabulary on top of schema.org."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from core.studies.exporting.data_card import COLUMNS, origin
from core.studies.ratings import RATINGS
from core.studies.study import Study

CONTEXT: Mapping[str, Any] = {
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
"""The vocabulary that the specification prescribes."""

MEDIA = {".json": "application/json", ".parquet": "application/x-parquet", ".md": "text/markdown", ".npz": "application/zip"}
TYPES = {"int64": "sc:Integer", "float64": "sc:Float", "bool": "sc:Boolean"}


def croissant(study: Study, ratings: pd.DataFrame, hashes: Mapping[str, str]) -> dict[str, Any]:
    """JSON-LD that describes a bundle: its files with their SHA-256 and the columns of the answers.

    hashes: path -> SHA-256 of the bundle's files so far. Pictures are described by the hash list, not one by one.
    """
    plan = study.plan
    files = [path for path in hashes if not path.startswith("sets/") or path.endswith(".parquet")]
    return {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": plan.title or study.name,
        "description": f"Answers to: {'is it one person' if plan.kind == 'identity' else 'which emotion is it'}? "
        f"{origin(study, ratings).replace('**', '')}",
        "version": "1.0.0",
        "datePublished": study.created_at.date().isoformat(),
        "isLiveDataset": False,
        "rai:dataCollection": origin(study, ratings).replace("**", ""),
        "rai:personalSensitiveInformation": "Answers of people under given names; the faces are synthetic.",
        "rai:dataUseCases": "Comparing models with people; not for identifying people or inferring what somebody feels.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path,
                "contentUrl": path,
                "encodingFormat": next(kind for ending, kind in MEDIA.items() if path.endswith(ending)),
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
                        "description": COLUMNS[name],
                        "dataType": "sc:DateTime" if kind.startswith("datetime") else TYPES.get(kind, "sc:Text"),
                        "source": {"fileObject": {"@id": "ratings.parquet"}, "extract": {"column": name}},
                    }
                    for name, kind in RATINGS.items()
                ],
            }
        ],
    }

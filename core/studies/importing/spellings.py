"""How files spell what they hold: names of columns, words for emotions, and how a column's values look."""

from __future__ import annotations

import re
from collections.abc import Mapping

from core.models.emotions import EMOTIONS
from core.studies.importing.cells import NO, YES

NAMES: Mapping[str, tuple[str, ...]] = {
    "rating_id": ("ratingid", "answerid", "uuid"),
    "rater": (
        "rater", "raterid", "subject", "subjectid", "participant", "participantid", "subj", "subjid", "observer", "observerid",
        "workerid", "prolificpid", "prolificid", "pid", "user", "userid", "person", "personid", "sub", "vp", "proband",
    ),
    "stimulus": (
        "stimulus", "stimulusid", "pairid", "pair", "image", "imageid", "imagename", "imagefile", "img", "imgid", "picture",
        "pictureid", "file", "filename", "stim", "stimid", "item", "itemid", "face", "faceid", "sampleid",
    ),
    "emotion": (
        "emotion", "choice", "emotionchoice", "chosenemotion", "response", "answer", "expression", "rating", "label", "selected",
        "value",
    ),
    "similarity": ("similarity", "perceivedsimilarity", "similarityrating", "meansimilarity", "similaritymean", "sim", "slider"),
    "identity": (
        "identity", "sameperson", "same", "sameidentity", "identical", "identityrating", "identityrate", "identitymean",
        "meanidentity", "isidentical", "issame", "matches",
    ),
    "reaction_time_ms": (
        "reactiontimems", "reactiontime", "rt", "rtms", "rts", "responsetime", "responsetimems", "latency", "latencyms",
        "reactiontimes", "rtsec", "reactiontimesec",
    ),
    "trial": ("trial", "trialindex", "trialnumber", "trialnr", "trialno", "trialid", "order", "position"),
    "session": ("session", "sessionid", "run", "runid", "block"),
    "is_sentinel": ("issentinel", "sentinel", "catch", "catchtrial", "iscatch", "attentioncheck", "isattentioncheck", "control"),
    "created_at": ("createdat", "timestamp", "datetime", "date", "submittedat", "recordedat", "recordeddate", "time", "datum"),
    "task": ("task", "measure", "question"),
    "value": ("value",),
    "source": ("source",),
    "people": ("people", "n", "raters", "nraters", "numraters", "votes", "nvotes", "count", "nratings", "numratings"),
    "base": ("base", "baseid", "baseimage", "image1", "img1", "reference", "original"),
    "sample": ("sample", "sampleid", "sampleimage", "image2", "img2", "comparison"),
    "sample_type": ("sampletype", "type", "kind", "category", "condition"),
    "step": ("step", "strength", "level", "interpolationstep"),
}  # fmt: skip
"""By target: names of columns in their normal form, the likeliest first."""

DISTANCES = ("dlib", "vgg", "facenet", "openface", "sface", "arcface", "lpips", "latent", "distance")
"""Words in the names of columns that hold what models say."""

EMOTION_WORDS: Mapping[str, str] = {
    **{emotion: emotion for emotion in EMOTIONS},
    **dict.fromkeys(("surprised", "surprising", "astonished", "sur", "su"), "surprise"),
    **dict.fromkeys(("fearful", "afraid", "scared", "frightened", "fea", "fe"), "fear"),
    **dict.fromkeys(("disgusted", "dis", "di"), "disgust"),
    **dict.fromkeys(("happy", "joy", "joyful", "hap", "ha"), "happiness"),
    **dict.fromkeys(("sad", "sorrow", "sa"), "sadness"),
    **dict.fromkeys(("angry", "mad", "ang", "an"), "anger"),
}
"""Words for the six emotions, in small letters."""

IDENTITY_WORDS: Mapping[str, str] = {**dict.fromkeys(sorted(YES), "1"), **dict.fromkeys(sorted(NO), "0")}


def normal(name: str) -> str:
    """A name without case, spaces and signs: 'Reaction time (ms)' -> 'reactiontimems'."""
    return re.sub(r"[^0-9a-z]+", "", name.lower())


def named(target: str) -> tuple[str, ...]:
    """The normal names that stand for a target."""
    return NAMES[target]

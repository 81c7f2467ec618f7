"""Faces between two emotions as tiles: what the networks said of each, in words, and its place on the map."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from core.analysis.boundary import LESSER
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.events import BaseShown, BoundaryMade, Opinion
from ui import words
from ui.components.boundary import BaseFace, BoundaryFace, BoundaryGroup, Place, boundary
from ui.emotion_runs import Run, Seen, Way
from ui.images import face_url

DRAWN = 24
"""Steps of a way that are drawn, at most."""


def bystander(configuration: EmotionConfiguration) -> str:
    """The judge that never steers."""
    return configuration.judges[-1]


def part(classifier: str, configuration: EmotionConfiguration) -> str:
    """What a classifier had to do with the making of the faces: '<title>, which <part>'."""
    if classifier == configuration.steerer:
        return "steered"
    if classifier == bystander(configuration):
        return "did not steer"
    return "taught the one that steered" if configuration.strategy == "two-stage" else "steered too"


def verdict(made: BoundaryMade, configuration: EmotionConfiguration, classifier: str) -> str:
    """Kept or not under one classifier, and why, in words."""
    first, second = made.above[classifier]
    if made.passed[classifier]:
        return "could be either"
    if first or second:
        return f"not enough {configuration.emotion2 if first else configuration.emotion1}"
    return f"too little of both {configuration.emotion1} and {configuration.emotion2}"


def strongest(opinion: Opinion) -> str:
    """The emotion that a network finds most likely."""
    return EMOTIONS[max(range(len(EMOTIONS)), key=lambda place: opinion.calibrated[place])]


def place_of(opinion: Opinion, configuration: EmotionConfiguration) -> Place:
    """Where a face lies on the map, by calibrated shares."""
    first, second = configuration.pair
    return opinion.calibrated[first], opinion.calibrated[second]


def shares(place: Place, configuration: EmotionConfiguration) -> str:
    """'fear 41 %, surprise 44 %'."""
    return ", ".join(
        f"{emotion} {words.percent(share)}"
        for emotion, share in zip((configuration.emotion1, configuration.emotion2), place, strict=True)
    )


def same_person(distance: float, threshold: float, recogniser: str) -> str:
    """How far a face is from its base, in words."""
    title = registry.entry(recogniser).title
    if not math.isfinite(distance):
        return f"{title} found no face in it"
    return (
        f"{title} still takes them for the same person: distance {distance:.2f}, limit {threshold:.2f}"
        if distance < threshold
        else f"{title} takes them for two people: distance {distance:.2f}, limit {threshold:.2f}"
    )


def _thinned(way: Way) -> Way:
    stride = max(1, math.ceil(len(way) / DRAWN))
    return way[::stride]


def tile(identifier: str, made: BoundaryMade, way: Way, configuration: EmotionConfiguration) -> BoundaryFace:
    """One finished face."""
    said, place = verdict(made, configuration, configuration.steerer), place_of(made.opinions[configuration.steerer], configuration)
    judge = bystander(configuration)
    agrees = made.passed[judge]
    title = registry.entry(judge).title
    note = f"{shares(place, configuration)}. "
    note += f"{title} agrees." if agrees else f"{title} sees {strongest(made.opinions[judge])}."
    return BoundaryFace(
        id=identifier,
        src=face_url(made.image),
        alt=f"Generated face between {configuration.emotion1} and {configuration.emotion2}: {said}",
        words=said,
        note=note,
        verdict="open" if made.passed[configuration.steerer] else "closed",
        place=place,
        path=_thinned(way),
    )


def _base(shown: BaseShown, title: str, configuration: EmotionConfiguration) -> BaseFace:
    opinion = shown.opinions[configuration.steerer]
    place = place_of(opinion, configuration)
    return BaseFace(
        src=face_url(shown.image),
        alt=f"The base, a generated face: {title}",
        title=f"The base: {title}",
        words=f"{registry.entry(configuration.steerer).title} sees {strongest(opinion)} most; {shares(place, configuration)}.",
        place=place,
    )


def _show(
    groups: Sequence[BoundaryGroup], base: BaseFace, configuration: EmotionConfiguration, on_pick: Callable[[str], None], key: str
) -> None:
    boundary(
        groups,
        base,
        (configuration.emotion1, configuration.emotion2),
        rule=LESSER,
        key=key,
        follow=key == "boundary-live",
        on_pick=on_pick,
    )


def show_unfinished(so_far: Seen, configuration: EmotionConfiguration, title: str) -> None:
    """What there is already, and where the others are on their way."""
    if so_far.base is None:
        return
    tiles = []
    for index in range(configuration.count):
        identifier, way = f"sample-{index}", so_far.ways.get(index, [])
        made = so_far.made.get(index)
        tiles.append(BoundaryFace(identifier, path=_thinned(way)) if made is None else tile(identifier, made, way, configuration))
    _show([BoundaryGroup(tiles)], _base(so_far.base, title, configuration), configuration, lambda _: None, "boundary-live")


def show_finished(run: Run, configuration: EmotionConfiguration, title: str, on_pick: Callable[[str], None]) -> None:
    """All faces of a run: those that could be either first, then the filtered ones and why."""
    tiles = [tile(face.sample_id, face.made, face.way, configuration) for face in run.faces]
    kept = [each for each in tiles if each.verdict == "open"]
    lost = [each for each in tiles if each.verdict != "open"]
    steerer = registry.entry(configuration.steerer).title
    groups = []
    if kept:
        groups.append(
            BoundaryGroup(
                kept,
                title=f"Could be {configuration.emotion1} or {configuration.emotion2}",
                note=f"{steerer}, which steered, sees more of both than in three quarters of plain faces. "
                f"Bars: {configuration.emotion1} above, {configuration.emotion2} below.",
            )
        )
    if lost:
        groups.append(
            BoundaryGroup(
                lost,
                title="Filtered out, and why",
                note=""
                if kept
                else f"None of these has enough of both feelings for {steerer}; try more faces, or be free of the base.",
            )
        )
    _show(groups, _base(run.base, title, configuration), configuration, on_pick, "boundary")

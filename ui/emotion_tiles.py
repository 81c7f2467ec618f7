"""Faces between two emotions as tiles: what the networks said of each, in words, and its place on the map."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from core.analysis.boundary import LESSER
from core.models import registry
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.events import BaseShown, BoundaryMade
from ui import emotion_words
from ui.components.boundary import BaseFace, BoundaryFace, BoundaryGroup, boundary
from ui.emotion_runs import Run, Seen, Way
from ui.images import face_url

DRAWN = 24
"""Steps of a way that are drawn, at most."""


def _thinned(way: Way) -> Way:
    stride = max(1, math.ceil(len(way) / DRAWN))
    return way[::stride]


def tile(identifier: str, made: BoundaryMade, way: Way, configuration: EmotionConfiguration) -> BoundaryFace:
    """One finished face."""
    said, place = (
        emotion_words.verdict(made, configuration, configuration.steerer),
        emotion_words.place_of(made.opinions[configuration.steerer], configuration),
    )
    judge = configuration.bystander
    agrees = made.passed[judge]
    title = registry.entry(judge).title
    note = f"{emotion_words.shares(place, configuration)}. "
    note += f"{title} agrees." if agrees else f"{title} sees {emotion_words.strongest(made.opinions[judge])}."
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
    place = emotion_words.place_of(opinion, configuration)
    return BaseFace(
        src=face_url(shown.image),
        alt=f"The base, a generated face: {title}",
        title=f"The base: {title}",
        words=f"{registry.entry(configuration.steerer).title} sees {emotion_words.strongest(opinion)} most; "
        f"{emotion_words.shares(place, configuration)}.",
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
    tiles = [tile(face.made.sample_id, face.made, face.way, configuration) for face in run.faces]
    kept = [each for each in tiles if each.verdict == "open"]
    lost = [each for each in tiles if each.verdict != "open"]
    steerer = emotion_words.named(configuration.steerer, configuration)
    groups = []
    if kept:
        groups.append(
            BoundaryGroup(
                kept,
                title=f"Could be {configuration.emotion1} or {configuration.emotion2}",
                note=f"{steerer}, sees more of both than in three quarters of plain faces. "
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
                else f"None of these has enough of both feelings for {registry.entry(configuration.steerer).title}; try more "
                "faces, or be free of the base.",
            )
        )
    _show(groups, _base(run.base, title, configuration), configuration, on_pick, "boundary")

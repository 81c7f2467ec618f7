"""What networks say of faces between two emotions, in words."""

from __future__ import annotations

import math

from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.events import BoundaryMade, Opinion
from ui import words

Place = tuple[float, float]
"""Shares of the first and of the second emotion of a pair, in [0, 1]."""

MOSTLY = 3.0
"""A kept face in which one emotion's share is so many times the other's is not said to be even: the filter asks about logits."""


def named(classifier: str, configuration: EmotionConfiguration) -> str:
    """'Small CNN, which did not steer'."""
    return f"{registry.entry(classifier).title}, which {configuration.part(classifier)}"


def verdict(made: BoundaryMade, configuration: EmotionConfiguration, classifier: str) -> str:
    """Kept or not under one classifier, and why, in words."""
    first, second = made.above[classifier]
    if made.passed[classifier]:
        p1, p2 = place_of(made.opinions[classifier], configuration)
        if max(p1, p2) < MOSTLY * min(p1, p2):
            return "could be either"
        return f"both raised, mostly {configuration.emotion1 if p1 > p2 else configuration.emotion2}"
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

"""Curves of the renderer: a smooth step, linear light from sRGB, the tone curve and the way back to sRGB bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

TONE_STEPS = 2048
"""Entries of the tone curve up to linear light 1; the index is the square root of the light, up to light 4."""


def smooth(low: float, high: float, value: ArrayLike) -> NDArray[np.float64]:
    """0 below `low`, 1 above `high`, smooth between; falls where high < low."""
    u = np.clip((np.asarray(value, float) - low) / (high - low), 0, 1)
    return np.asarray(u * u * (3 - 2 * u))


def to_linear(*rgb: float) -> NDArray[np.float32]:
    """Linear RGB (3,) of an sRGB colour 0..255."""
    c = np.array(rgb) / 255
    return np.where(c < 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def make_tone_curve() -> NDArray[np.float32]:
    """Tone-mapped light (2 TONE_STEPS + 1,): a film's curve with a soft shoulder; 1 is white."""
    light = (np.arange(2 * TONE_STEPS + 1) / TONE_STEPS) ** 2 * 0.58
    return (light * (1 + light / 9) / (1 + light * 0.62) * 1.13).astype(np.float32)


def make_srgb_table() -> NDArray[np.uint8]:
    """sRGB bytes (TONE_STEPS + 1,) of linear light 0..1, by its square root."""
    light = (np.arange(TONE_STEPS + 1) / TONE_STEPS) ** 2
    srgb = np.where(light < 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-6) ** (1 / 2.4) - 0.055)
    return (np.clip(srgb, 0, 1) * 255 + 0.5).astype(np.uint8)

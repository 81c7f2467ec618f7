"""Two maps of the skin that need no file: noise that repeats in space, and where wrinkles lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOISE_SIDE = 64
NOISE_BAND = (6.0, 20.0)
"""Waves a period of the noise cube, lowest and highest."""

WRINKLES_LOW = (0.0, 6.1)
WRINKLES_HIGH = (0.8, 8.02)
WRINKLES_SHAPE = (160, 384)
"""The wrinkle map covers \\|x\\| and y of the rest head (decimetres) by so many nodes."""

STEPS = 1024.0
"""Both maps are rounded to this part of one, so that the last bits of a mathematical library change no picture."""

Floats = NDArray[np.float64]


def make_noise(seed: int = 1) -> NDArray[np.float32]:
    """A cube (64, 64, 64) of band-limited noise with unit variance that continues periodically in all three directions."""
    low, high = NOISE_BAND
    waves = np.fft.fftfreq(NOISE_SIDE) * NOISE_SIDE
    frequency = np.sqrt(waves[:, None, None] ** 2 + waves[None, :, None] ** 2 + waves[None, None, :] ** 2)
    octaves = np.log2(np.maximum(frequency, 0.1) / np.sqrt(low * high)) / np.log2(np.sqrt(high / low))
    white = np.random.RandomState(seed).randn(NOISE_SIDE, NOISE_SIDE, NOISE_SIDE)
    values = np.fft.ifftn(np.fft.fftn(white) * np.exp(-(octaves**2))).real
    return _round(values / values.std())


def make_wrinkles() -> NDArray[np.float32]:
    """Depths (160, 384, 4) over (\\|x\\|, y), negative in a furrow: forehead, crow's feet, between the brows, nose to mouth.

    The fourth map joins the fold from the wing of the nose to beside the mouth and the crease below the eye.
    """
    axes = [np.linspace(low, high, n) for low, high, n in zip(WRINKLES_LOW, WRINKLES_HIGH, WRINKLES_SHAPE, strict=True)]
    x, y = np.meshgrid(*axes, indexing="ij")
    wobble = sum(
        np.sin(x * frequency + phase) * size for frequency, phase, size in ((5, 1, 0.012), (11, 2, 0.008), (23, 0.3, 0.004))
    )
    forehead = _lines((y + wobble - 7.62) / 0.085) * _rise(7.56, 7.63, y) * _rise(7.96, 7.86, y) * _rise(0.60, 0.38, x)
    forehead *= 0.75 + 0.25 * np.sin(x * 9 + y * 31)

    angle, radius = np.arctan2(y - 7.285, x - 0.47), np.hypot(x - 0.47, y - 7.285)
    crow = _lines(angle / 0.36 + 0.12 * np.sin(radius * 25)) * _rise(0.06, 0.11, radius) * _rise(0.27, 0.16, radius)
    crow *= _rise(0.47, 0.53, x) * _rise(1.0, 0.7, np.abs(angle))

    between = -np.exp(-(((x - 0.058 - 0.05 * (y - 7.45)) / 0.011) ** 2)) * _rise(7.38, 7.43, y) * _rise(7.62, 7.52, y)
    between -= 0.5 * np.exp(-(((y - 7.33) / 0.012) ** 2)) * _rise(0.09, 0.05, x)

    fold_x = 0.165 + 0.235 * np.clip((6.93 - y) / 0.42, 0, 1) ** 0.8
    fold = -np.exp(-(((x - fold_x) / 0.022) ** 2)) * _rise(6.95, 6.88, y) * _rise(6.45, 6.6, y)
    lower_lid = 7.115 + 0.35 * (x - 0.31) ** 2
    crease = -np.exp(-(((y - lower_lid) / 0.014) ** 2)) * _rise(0.13, 0.2, x) * _rise(0.47, 0.38, x)
    return _round(np.stack([forehead, crow, between, fold + 0.55 * crease], -1))


def _rise(low: float, high: float, values: Floats) -> Floats:
    """0 at ``low``, 1 at ``high``, smooth between; falls where high < low."""
    u = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(u * u * (3 - 2 * u))


def _lines(phase: Floats) -> Floats:
    """A narrow furrow at every whole number."""
    return np.asarray(-np.exp(-(((phase - np.round(phase)) / 0.16) ** 2)))


def _round(values: Floats) -> NDArray[np.float32]:
    return (np.rint(values * STEPS) / STEPS).astype(np.float32)

"""Imported before any test module: core sets OpenMP up, which must happen before torch is loaded."""

import core  # noqa: F401

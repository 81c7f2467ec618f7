"""The Streamlit side of Liminal, and where the checkout keeps its assets and pages. Nothing is imported here, so that every
module may use it.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"
PAGES = ROOT / "pages"

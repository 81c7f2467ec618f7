"""The app as it is but for its networks: they read made-up vectors and learn slowly enough to be watched; new faces are noise,
those under a slider plain grey.

Started by ``streamlit run``; what is patched here are functions of modules that no page has imported yet.
"""

import time

import numpy as np
import streamlit as st

from core.alignment import alignment, stimulus_choice, train
from core.alignment.store import EpochDone
from core.progress import Progress
from core.sampling import named_slider
from tests.ui import taught
from ui import ROOT
from ui.server import lifespan, middleware, routes
from ui.studies import access

ROUND_SECONDS = 0.5  # fifteen rounds: long enough that the button to stop them is pressed before they are over
learn = train.fine_tune


def slowly(*arguments, progress=None, **options):
    """``fine_tune``, with time to look on between two rounds of everybody's model."""
    told = progress or Progress()

    def report(event):
        if isinstance(event, EpochDone) and event.stage == "group":
            time.sleep(ROUND_SECONDS)
        told.emit(event)

    return learn(*arguments, progress=Progress(report, told.cancel), **options)


def drawn(alignment, known, *, count=4, seed=0, progress=None, **_):
    """``search`` without networks: noise of which the visitor should say fear, and most surprise."""
    random = np.random.default_rng(seed)
    own, group = np.array([0.1, 0.6, 0.1, 0.1, 0.05, 0.05]), np.array([0.6, 0.1, 0.1, 0.1, 0.05, 0.05])
    found = []
    for place in range(count):
        (progress or Progress()).stage("Looking for faces that you and others see differently", place / count)
        time.sleep(1.0)  # the page looks every 0.7 seconds
        picture = random.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        found.append(
            stimulus_choice.ControversialImage(random.normal(size=4).astype(np.float32), picture, "fear", "surprise", own, group)
        )
    return found


def shaded(_generator, _base, _values, _latent, positions):
    """A slider's pictures without a generator: plain grey, from dark to light."""
    levels = np.linspace(40, 220, len(positions)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (len(levels), 24, 24, 3)).copy()


alignment.begin_alignment = taught.begun
train.fine_tune = slowly
stimulus_choice.search_controversial = drawn
named_slider.draw_slider = shaded
access.unpack_demonstration = lambda *_: None

app = st.App(ROOT / "ui" / "main.py", routes=routes(), lifespan=lifespan, middleware=middleware())

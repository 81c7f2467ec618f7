"""A visitor's own face as a base: found in a generator, used for samples, and never anywhere but in the session."""

import functools
import gc
import io
import os
import sys
import time
import weakref

import numpy as np
import pytest
import skimage
import streamlit
from PIL import Image

from core.models import request_context
from core.models.engine.engine import get_engine
from core.progress import Progress, Stage
from core.sampling import inversion
from core.sampling.inversion import NOT_YOU
from core.sampling.stored.population import load_population, score_population
from tests.ui.visits import app, words
from ui import markup, photo
from ui.identity import sets
from ui.jobs import Job, get_job_manager
from ui.phone import searches
from ui.pictures import PICTURES

FLAGS = os.O_WRONLY | os.O_RDWR
_written = []
_watching = False


def _notice(event, arguments):
    if _watching and event == "open":
        path, mode, flags = arguments
        if isinstance(path, str) and path != os.devnull and ((mode and set(mode) & set("wax+")) or (flags or 0) & FLAGS):
            _written.append(path)


sys.addaudithook(_notice)


class Upload:
    def __init__(self, picture, name="one"):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        self.file_id, self.content = name, buffer.getvalue()

    def getvalue(self):
        return self.content


@pytest.fixture
def given(place, monkeypatch):
    """What lies in the upload: a list of one or none; and an inversion of a few steps."""
    upload = []
    monkeypatch.setattr(streamlit, "file_uploader", lambda *_, **__: upload[0] if upload else None)
    quick = functools.partial(inversion.InversionConfiguration, steps=4, refining=0, starts=1)
    monkeypatch.setattr(inversion, "InversionConfiguration", quick)
    monkeypatch.setattr(photo, "NEAREST_STRANGERS", 3)
    return upload


def on_the_page():
    test = app("identity.py", generator="dcgan", rounds="5")
    test.session_state["identity_way"] = photo.UPLOAD
    return test.run()


def finished(test):
    """Run the page until none of its jobs goes on."""
    until = time.monotonic() + 240
    while any(not job.finished for job in get_job_manager()._jobs.values()):
        assert time.monotonic() < until
        time.sleep(0.2)
    return test.run()


def test_a_face_is_found_and_used_and_leaves_no_trace(given, tmp_path, monkeypatch):
    global _watching
    finished(app("identity.py"))  # whatever a first visit writes, and what earlier tests left running
    stored, kept = len(PICTURES), len(get_engine().cache)
    shown = []
    monkeypatch.setattr(sets, "face_url", lambda image: shown.append(image) or "")
    heard, report = [], Job._report
    monkeypatch.setattr(Job, "_report", lambda job, event: (heard.append(event), report(job, event)))
    _written.clear()
    _watching = True
    try:
        given.append(Upload(skimage.data.astronaut()))
        test = on_the_page()
        assert "never" not in words(test) or "Nothing of it is written to disk" in words(test)
        test.button(key="find-own-face").click().run()
        test = finished(test)
        assert not test.exception
        assert "the two for the same person" in words(test) or "them for two different people" in words(test)
        assert NOT_YOU in words(test)
        own = test.session_state[photo.PHOTO_SLOT]
        assert own.inversion.latent.shape == (100,)
        assert own.data is None
        test.button(key="make-samples").click().run()
        test = finished(test)
        assert not test.exception
        assert not test.error
        made = next(each for (_, partner), each in own.results.items() if partner is None)
        assert len(made.pairs) == 28
        assert np.array_equal(made.latents[made.pairs["base_id"].iloc[0]], own.inversion.latent)
        assert "are not saved" in words(test)
        assert not [button for button in test.button if button.key == "ask-people"]
    finally:
        _watching = False
    assert not _written
    assert not set(test.query_params) & {"base", "seed", "sample"}
    assert not shown
    assert len(PICTURES) == stored
    assert len(get_engine().cache) == kept
    assert len(sets.cached_sets()) == 0
    assert len(sets.cached_strips()) == 0
    for job in get_job_manager()._jobs.values():
        assert (job.result, job.error) == (None, "")
    assert {type(event) for event in heard} == {Stage}
    for face in (own.image, own.inversion.photo, own.inversion.latent, made.images):
        assert repr(face)[:40] not in repr(own) + repr(own.inversion)
    gone = weakref.ref(own)
    del own, made, face
    test.session_state["identity_way"] = photo.GALLERY
    finished(test.run())  # the walk that had begun meanwhile was told to stop
    gc.collect()
    assert gone() is None


def test_a_picture_without_one_face_is_refused_in_one_sentence(given, idle):
    given.append(Upload(np.full((200, 200, 3), 128, np.uint8)))
    assert "No face was found in the picture" in words(on_the_page())
    two = np.concatenate([skimage.data.astronaut()] * 2, axis=1)
    given[0] = Upload(two, "two")
    test = on_the_page()
    assert "two faces" in words(test)
    assert photo.PHOTO_SLOT not in test.session_state


def test_taking_the_photo_away_forgets_it(given, idle):
    given.append(Upload(skimage.data.astronaut()))
    test = on_the_page()
    assert photo.PHOTO_SLOT in test.session_state
    given.clear()
    assert photo.PHOTO_SLOT not in test.run().session_state


def test_the_phones_owner_leaves_nothing_with_the_networks_and_doubles_have_no_address(monkeypatch):
    monkeypatch.setattr(photo.st, "session_state", {})
    shown = []
    monkeypatch.setattr(markup, "pair_html", lambda *each: shown.extend(each) or "<p>faces</p>")
    with request_context.use_context(request_context.RequestContext("someone", may_cache=True)):
        kept, stored = len(get_engine().cache), len(PICTURES)
        upload = photo.open_photo("one", Upload(skimage.data.astronaut()).content)
        assert upload.data is None
        owner = photo.owner_from_photo(upload)
        assert np.isfinite(owner.descriptor("sface")).all()
        heard, question = [], ("dcgan", "sface", owner.identity, 1.0)
        work = searches.make_impostor_job(owner, question, list(owner.descriptors), [1, 2], iterations=1)
        assert work(Progress(heard.append)) is None
        assert {type(event) for event in heard} == {Stage}
        assert upload.events == {}
        assert len(get_engine().cache) == kept
    scores = score_population(load_population("dcgan"), owner.descriptors, "sface")
    monkeypatch.setattr(markup, "portrait_html", lambda *each: shown.append(each[:2]) or "<p>a face</p>")
    searches._show_impostors("dcgan", owner, scores, upload.results[question], 1.0)
    assert len(shown) == 6
    assert all(address.startswith("data:") for address, _ in shown)
    assert len(PICTURES) == stored

"""Pictures on their way to the browser, and uploads on their way in."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.formparsers import MultiPartParser
from starlette.requests import Request

from core.studies.library import SetEntry
from core.studies.study import RatingPlan, Study
from tests.ui.visits import finished
from ui.analysis import study_choice
from ui.pictures import PICTURES, data_url, encode_picture, face_url
from ui.server import keep_uploads_in_memory
from ui.studies import access, owner_gate


@given(seed=st.integers(0, 2**32 - 1), side=st.sampled_from([8, 64, 100]))
@settings(max_examples=20, deadline=None)
def test_what_is_shown_is_what_was_judged(seed, side):
    image = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_picture(image))).convert("RGB")), image)


def test_a_face_is_encoded_once_and_has_one_address():
    image = np.full((16, 16, 3), 7, np.uint8)
    address = face_url(image)
    assert face_url(image.copy()) == address
    assert face_url(image + 1) != address
    assert PICTURES.get(address.removeprefix("/faces/").removesuffix(".webp")) is not None


def test_a_photo_has_no_address_on_the_server():
    before = len(PICTURES)
    assert data_url(np.zeros((8, 8, 3), np.uint8)).startswith("data:image/webp;base64,")
    assert len(PICTURES) == before


def upload(megabytes):
    """-> whether Starlette moved the upload to a temporary file, and how many bytes it holds."""
    photo = bytes(int(megabytes * 1024 * 1024))
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = head + photo + b"\r\n--x--\r\n"

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def parse():
        scope = {"type": "http", "method": "PUT", "headers": [(b"content-type", b"multipart/form-data; boundary=x")]}
        form = await Request(scope, receive).form()
        file = form["file"].file
        return file._rolled, len(file.read())

    return finished(parse())


@pytest.mark.parametrize("megabytes", [0.5, 5, 10])
def test_an_upload_never_reaches_the_disk(megabytes, monkeypatch):
    monkeypatch.setattr(MultiPartParser, "spool_max_size", 1024 * 1024)  # Starlette's own limit ...
    assert upload(5)[0]  # ... would have written it
    keep_uploads_in_memory()
    assert upload(megabytes) == (False, megabytes * 1024 * 1024)


@pytest.mark.parametrize(("owner", "seen"), [(True, ["Faces", "Photos"]), (False, ["Faces"])])
def test_simulated_studies_of_own_pictures_are_the_owners_alone(monkeypatch, owner, seen):
    sets = {"Faces": "0" * 20, "Photos": "1" * 20}
    entries = [SetEntry(name, "emotion", title, "", 1, False, Path(), title == "Photos") for title, name in sets.items()]
    plan = RatingPlan("emotion", 1)
    studies = [Study(name, plan, source="simulated", sample_sets=(set_id,)) for name, set_id in sets.items()]
    monkeypatch.setattr(access, "install_demonstration", lambda: None)
    monkeypatch.setattr(access, "list_sample_sets", lambda: entries)
    monkeypatch.setattr(access, "get_store", lambda: SimpleNamespace(studies=lambda: studies))
    monkeypatch.setattr(owner_gate, "is_allowed", lambda: owner)
    assert [study.name for study in study_choice.list_visible_studies()] == seen

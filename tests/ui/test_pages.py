"""The pages' own logic, without a browser."""

import pytest
import streamlit

from tests.ui.visits import IDLE, app, paints_without_torch


@pytest.fixture(autouse=True)
def _fresh(idle):
    streamlit.cache_resource.clear()
    yield
    streamlit.cache_resource.clear()


def texts(test):
    return " ".join(str(each.value) for kind in (test.title, test.header, test.subheader, test.error) for each in kind)


def test_home_is_complete():
    test = app()
    assert "stop being yours" in texts(test)
    assert not test.error
    assert not test.info  # the walk is there


def test_pages_say_so_when_the_address_makes_no_sense():
    for page in ("phone.py", "identity.py"):
        test = app(page, base="nobody", threshold="nan", recogniser="none", generator="none", seed="-3", sample="x", stranger="y")
        assert not test.error


def test_a_strict_limit_lets_nobody_in_and_a_loose_one_somebody():
    assert "Nobody gets in" in texts(app("phone.py", threshold="0.05"))
    assert "Gets in, and looks least like the owner" in texts(app("phone.py", threshold="0.9"))


def test_models_of_the_address_are_chosen():
    test = app("phone.py", recogniser="sface", generator="dcgan")
    assert test.radio(key="recogniser").value == "sface"
    assert test.radio(key="generator").value == "dcgan"


def test_samples_are_made_only_when_asked_for():
    test = app("identity.py")
    assert "set_job" not in test.session_state
    assert test.button(key="make-samples")


@pytest.mark.parametrize("page", ["home.py", "phone.py", "identity.py", "emotion.py", "morph.py"])
def test_a_page_paints_before_torch_is_imported(page):
    paints_without_torch(page, IDLE, threshold="0.05")

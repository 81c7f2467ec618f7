"""Taking part in each language on a phone 360 pixels wide: nothing is cut off, and the browser chooses the language."""

import pytest

from tests.ui.study_sets import faces, identity_set, made_study

pytestmark = pytest.mark.browser

CUT_OFF = """() => [...document.querySelectorAll(".st-key-rater *")].filter((part) => {
  if (!part.offsetParent || ![...part.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) return false;
  const box = part.getBoundingClientRect();
  return (part.clientWidth > 0 && part.scrollWidth > part.clientWidth + 1) || box.right > innerWidth + 1 || box.left < -1;
}).map((part) => part.textContent.trim().slice(0, 60))"""
NARROW = {"width": 360, "height": 740, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize(
    ("locale", "agree", "answer"),
    [("en-GB", "I agree and take part", "surprise"), ("de-DE", "Ich stimme zu", "Überraschung"), ("zh-CN", "我同意并参加", "惊讶")],
)
def test_nothing_is_cut_off_on_a_narrow_phone(asking, open_page, locale, agree, answer):
    address, store, library = asking
    study = made_study(store, library, f"in {locale}", faces(3), image_ms=0)
    page = open_page(f"{address}/take-part?study={study.token}", locale=locale, **NARROW)
    page.get_by_role("button", name=agree).wait_for()
    assert page.evaluate(CUT_OFF) == []
    page.get_by_role("button", name=agree).click()
    skip = page.locator("[data-testid=stFormSubmitButton] button").nth(1)
    skip.wait_for()
    assert page.evaluate(CUT_OFF) == []
    skip.click()
    ready = page.locator(".st-key-instructed button")
    ready.wait_for()
    assert page.evaluate(CUT_OFF) == []
    ready.click()
    page.locator(".trial-screen button").click()
    page.locator(".trial-choices[data-shown=true]").wait_for()
    assert page.locator(".trial-choice").first.inner_text().strip() == answer
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate("document.documentElement.lang") == locale[:2]
    page.locator(".trial-choice").first.click()
    page.wait_for_function("document.querySelector('.trial-status').dataset.state === 'saved'")
    assert list(store.ratings(study.name)["value"]) == ["surprise"]  # what is kept is the same in every language


def test_pairs_fit_in_the_longest_language(asking, open_page):
    address, store, library = asking
    study = made_study(store, library, "pairs in German", identity_set(3), demographics=False)
    page = open_page(f"{address}/take-part?study={study.token}", locale="de-DE", **NARROW)
    page.locator(".st-key-agree button").click()
    page.locator(".st-key-instructed button").click()
    page.locator(".trial-screen button").click()
    page.locator(".trial-ask[data-shown=true]").wait_for()
    assert page.evaluate(CUT_OFF) == []
    assert "Nein, zwei Personen" in page.locator(".trial-same").inner_text()

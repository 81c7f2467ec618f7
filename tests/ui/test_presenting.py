"""The view for an audience, and a talk of views that is taken away as one page."""

from playwright.sync_api import expect


def test_a_talk_is_made_walked_through_by_keys_and_taken_away(server, open_page, chromium, tmp_path):
    page = open_page(f"{server}/?present=1", width=1920, height=1080, accept_downloads=True)
    expect(page.locator(".st-key-masthead")).to_be_hidden()
    expect(page.locator(".st-key-foot")).to_be_hidden()
    page.wait_for_function("parseFloat(getComputedStyle(document.querySelector('.stApp h1')).fontSize) > 60")
    assert page.locator("[data-testid=stMainBlockContainer]").bounding_box()["width"] > 1850
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 1920

    def add():
        page.mouse.move(200, 400)
        page.get_by_role("button", name="Add this view").click()
        expect(page.get_by_text("Added", exact=True)).to_be_visible()

    expect(page.locator("figure.walk")).to_have_attribute("data-ready", "true")
    add()
    page.goto(f"{server}/compare")  # stays the view for an audience
    expect(page.locator("html[data-present='1']")).to_be_attached()
    expect(page.locator(".stApp h1")).to_be_visible()
    add()
    page.locator("body").press("PageUp")
    page.wait_for_url(f"{server}/?present=1")
    expect(page.locator(".talk-bar span")).to_have_text("1 of 2")

    page.goto(f"{server}/phone")
    page.locator(".judge-wall button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    add()  # over the dialog, which stays open
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator(".talk-bar span")).to_have_text("3 of 3")
    page.goto(f"{server}/?present=1")

    page.mouse.move(210, 400)
    page.get_by_role("button", name="My talk", exact=True).click()
    with page.expect_download() as links:
        page.get_by_role("button", name="Download the links").click()
    assert f"{server}/compare?" in links.value.path().read_text()
    assert "One stranger" in links.value.path().read_text()
    page.get_by_role("button", name="Take out").last.click()
    page.get_by_role("button", name="Earlier").last.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as one page").click()
    download.value.save_as(tmp_path / "talk.html")

    away = chromium.new_context(offline=True)
    deck, asked = away.new_page(), []
    deck.on("request", lambda request: asked.append(request.url))
    deck.goto(f"file://{tmp_path}/talk.html")
    still = deck.frame_locator("iframe")
    expect(still.locator("h1")).not_to_contain_text("stop being yours")  # the order was changed
    deck.keyboard.press("ArrowRight")
    expect(still.locator("h1")).to_contain_text("stop being yours")
    assert still.locator(".walk-screen img").first.evaluate("image => image.naturalWidth") > 100
    assert not [url for url in asked if not url.startswith(("file:", "data:", "about:", "blob:"))]
    away.close()

    page.get_by_role("button", name="Close", exact=True).click()
    page.locator("body").press("Escape")
    expect(page.locator(".st-key-masthead")).to_be_visible()
    assert "present" not in page.url


CUT_OFF = """[...document.querySelectorAll(".js-plotly-plot :is(.ytick text, .legendtext)")].filter((text) => {
  const label = text.getBoundingClientRect(), figure = text.closest(".js-plotly-plot").getBoundingClientRect();
  return label.left < figure.left - 1 || label.right > figure.right + 1;
}).length"""


def test_figures_keep_their_labels_when_presenting_begins(server, open_page):
    page = open_page(f"{server}/statistics", width=1440, height=900)
    expect(page.locator(".js-plotly-plot .ytick text").first).to_be_visible()
    page.get_by_role("button", name="Present", exact=True).click()
    expect(page.locator(".st-key-masthead")).to_be_hidden()
    page.wait_for_timeout(500)  # what was measured before is drawn first, and may be cut off
    page.wait_for_function(f"{CUT_OFF} === 0")
    page.mouse.move(200, 400)
    page.get_by_role("button", name="Add this view").click()
    page.get_by_role("button", name="My talk", exact=True).click()
    expect(page.locator(".talk-panel li a")).to_have_text("What does the study say? Which samples pass for the same person?")

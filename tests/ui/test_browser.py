"""A visitor walks the pages by clicking, in a real browser."""

import re
import statistics

import pytest
from playwright.sync_api import expect
from skimage import data as pictures
from skimage.io import imsave
from statsmodels.stats.proportion import proportion_confint

pytestmark = pytest.mark.browser
SMALL = "generator=dcgan&rounds=5"  # 64 pixels and five rounds: the same paths in a fraction of the time


def test_the_three_pages_by_clicking(server, open_page, settle):
    page = open_page(server)
    expect(page.get_by_role("heading", level=1)).to_contain_text("stop being yours")
    expect(page).to_have_title("Liminal")
    figure = page.locator("figure.walk")
    expect(figure).to_have_attribute("data-ready", "true")
    verdicts = set()
    slider = page.get_by_label("How far the face has walked")
    slider.focus()
    for key in ("Home", "End"):
        page.keyboard.press(key)
        verdicts.add(figure.get_attribute("data-verdict"))
    assert verdicts == {"open", "closed"}

    page.locator(".st-key-ways").get_by_role("link", name="Who could unlock my phone").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Who could unlock my phone")
    expect(page).to_have_title("Who could unlock my phone · Liminal")
    settle(page)
    expect(page.locator(".judge-sentence")).to_contain_text("strangers")

    page.locator(".st-key-masthead").get_by_role("link", name="Identity").click()
    expect(page.get_by_role("button", name="Make 28 samples")).to_be_visible()
    expect(page).to_have_title("Identity samples · Liminal")
    settle(page)


def test_still_for_those_who_want_it_still(server, open_page):
    page = open_page(server, reduced_motion="reduce")
    figure = page.locator("figure.walk")
    expect(figure).to_have_attribute("data-ready", "true")
    before = figure.get_attribute("data-frame")
    page.wait_for_timeout(1500)
    assert figure.get_attribute("data-frame") == before
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("before => document.querySelector('figure.walk').dataset.frame !== before", arg=before)
    page.get_by_role("button", name="Pause").click()


def test_the_limit_judges_everybody_again_at_once(server, open_page, settle):
    page = open_page(f"{server}/phone")
    slider = page.get_by_label(re.compile("Limit of"))
    sentence = page.locator(".judge-sentence")

    def accepted():
        return page.locator(".judge-face[data-verdict=open]").count()

    slider.focus()
    page.keyboard.press("Home")
    expect(sentence).to_contain_text("None of")
    assert accepted() == 0
    page.keyboard.press("End")
    page.wait_for_function("document.querySelectorAll('.judge-face[data-verdict=open]').length > 200")
    expect(page.locator(".judge-genuine")).to_contain_text("The owner is refused in 0 of")
    settle(page)
    page.get_by_role("button", name="as delivered").click()
    page.wait_for_url("**threshold=0.6**")
    settle(page)
    numbers = [int(each.replace(",", "")) for each in re.findall(r"[\d,]+", sentence.inner_text())]
    low, high = proportion_confint(*numbers, method="wilson")
    shown = [float(each) for each in re.findall(r"([\d.]+) %", page.locator(".judge-interval").inner_text())]
    assert shown[-2:] == pytest.approx([100 * low, 100 * high], abs=0.51)

    page.locator(".judge-face").nth(3).click()
    expect(page.get_by_role("dialog")).to_contain_text("The stranger")
    assert "stranger=" in page.url


def test_a_deep_link_is_the_first_request_of_a_fresh_server(fresh_server, server, open_page):
    page = open_page(f"{server}/phone")
    tile = page.locator(".st-key-gallery .face").nth(5)
    tile.click()
    page.wait_for_url("**base=**")
    base = re.search(r"base=(\w+)", page.url).group(1)

    other = open_page(f"{fresh_server}/phone?base={base}&threshold=0.5&recogniser=sface")
    expect(other.locator(f".face[data-id='{base}']")).to_have_attribute("aria-pressed", "true")
    expect(other.locator(".judge-scale output")).to_contain_text("0.50")
    expect(other.locator(".judge-interval")).to_contain_text("SFace")


def test_samples_are_made_looked_at_walked_through_and_downloaded(server, open_page):
    page = open_page(f"{server}/identity?{SMALL}")
    page.get_by_role("button", name="Make 28 samples").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    tiles = page.locator(".st-key-samples .face")
    tiles.first.wait_for()
    assert tiles.count() == 28
    assert {"open", "closed"} <= {tile.get_attribute("data-verdict") for tile in tiles.all()}

    figure = page.locator("figure.walk")
    expect(figure).to_have_attribute("data-ready", "true")
    slider = page.get_by_label("How far the face has walked")
    slider.focus()
    delays = []
    for step in range(20):
        delays.append(
            slider.evaluate(
                """async (range, step) => {
                    const began = performance.now();
                    range.value = step;
                    range.dispatchEvent(new Event("input"));
                    await new Promise(requestAnimationFrame);
                    const picture = document.querySelector("figure.walk .walk-screen img");
                    if (picture.dataset.frame !== String(step) || !picture.complete) return Infinity;
                    return performance.now() - began;
                }""",
                2 * step,
            )
        )
    assert statistics.median(delays) < 150  # milliseconds, from the slider to the picture

    with page.expect_download() as download:
        page.get_by_role("button", name="Download this set").click()
    assert download.value.suggested_filename.endswith(".zip")

    tiles.nth(12).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("LPIPS")
    expect(dialog).to_contain_text("SFace")
    link = page.url
    assert "sample=" in link
    again = open_page(link)
    expect(again.get_by_role("dialog")).to_contain_text("LPIPS")


def test_a_search_can_be_stopped(server, open_page):
    page = open_page(f"{server}/identity?generator=dcgan&rounds=200&strategy=cmaes&seed=11")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped on request")).to_be_visible()


def test_a_photo_is_compared_with_the_strangers(server, open_page, tmp_path):
    photo, nobody = tmp_path / "astronaut.png", tmp_path / "nobody.png"
    imsave(photo, pictures.astronaut(), check_contrast=False)
    imsave(nobody, pictures.coffee(), check_contrast=False)
    page = open_page(f"{server}/phone?generator=dcgan")
    page.get_by_text("Use a photo").click()
    chooser = page.locator("[data-testid=stFileUploaderDropzoneInput]")
    chooser.set_input_files(nobody)
    expect(page.get_by_text("No face was found")).to_be_visible()
    chooser.set_input_files(photo)
    expect(page.get_by_alt_text("Your photo, framed around the face")).to_be_visible()
    expect(page.locator(".judge-sentence")).to_contain_text("strangers")
    assert page.get_by_alt_text("Your photo, framed around the face").get_attribute("src").startswith("data:")
    page.get_by_role("button", name="Search now").click()  # with the DCGAN a search takes long, and is asked for
    expect(page.locator(".two-faces figcaption").nth(1)).to_contain_text(
        re.compile("The nearest stranger so far|Found by the search")
    )


@pytest.mark.parametrize("path", ["/", "/phone", "/identity"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_hangs_over_a_narrow_screen(server, open_page, path, scheme):
    page = open_page(f"{server}{path}", width=390, height=844, color_scheme=scheme)
    page.wait_for_timeout(500)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    # Streamlit scrolls inside its own main section.
    assert page.evaluate("(main => main.scrollWidth - main.clientWidth)(document.querySelector('[data-testid=stMain]'))") <= 0
    expect(page.get_by_role("link", name="Align").first).not_to_be_in_viewport()
    page.get_by_role("button", name="All pages").click()
    expect(page.get_by_role("link", name="Align").first).to_be_in_viewport()
    if path == "/phone":
        expect(page.locator(".faces-guide")).to_contain_text("Faces 1 to 6 of 60")
        page.get_by_label("More faces").click()
        expect(page.locator(".faces-guide")).not_to_contain_text("Faces 1 to")
    paper = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert (sum(int(each) for each in re.findall(r"\d+", paper)[:3]) < 384) == (scheme == "dark")


def test_every_picture_has_an_alternative_text(server, open_page):
    for path in ("/", "/phone", "/identity"):
        page = open_page(f"{server}{path}")
        assert page.locator("img:not([alt])").count() == 0


def test_a_link_to_another_view_of_a_page_changes_the_address(server, open_page):
    page = open_page(f"{server}/studies")
    page.get_by_role("link", name="Demonstration: which of six feelings?").click()
    page.wait_for_url("**/studies?study=Demonstration*")
    expect(page.get_by_role("button", name="All studies")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="New study")).to_be_visible()

"""Nothing jumps while a page loads: the sum of the browser's own layout shifts, of which 0.1 is called good."""

import pytest

from ui.navigation import MAIN_PAGES, MODELS, PHONE, YOU

GOOD = 0.1
WATCH = """
window.shifts = [];
new PerformanceObserver((list) => { for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry); })
  .observe({ type: "layout-shift", buffered: true });
"""
TOLD = """window.shifts.map((entry) => [entry.value, ...entry.sources.slice(0, 2).map(({ node, previousRect, currentRect }) =>
  `${node?.className ?? "gone"} ${previousRect.y} to ${currentRect.y}`)])"""


SCREEN, SMALL, WALL = ({"width": width, "height": height} for width, height in ((1440, 900), (390, 844), (1920, 1080)))
VIEWS = {page.url or "home": (page.url, SCREEN) for page in (*MAIN_PAGES, MODELS)}
VIEWS |= {f"{page.url}, phone": (page.url, SMALL) for page in (YOU, MODELS)}
VIEWS |= {"phone, presenting": (f"{PHONE.url}?present=1", WALL)}


@pytest.mark.parametrize(("address", "size"), VIEWS.values(), ids=list(VIEWS))
def test_nothing_jumps_while_a_page_loads(server, chromium, address, size):
    context = chromium.new_context(viewport=size)
    context.add_init_script(WATCH)
    tab = context.new_page()
    tab.goto(f"{server}/{address}")
    tab.wait_for_selector("[data-testid=stApp][data-test-connection-state=CONNECTED]", state="attached")
    tab.locator(".st-key-foot").wait_for(state="attached")  # all of the page is there
    tab.wait_for_timeout(1500)
    shifts = tab.evaluate(TOLD)
    context.close()
    assert sum(shift[0] for shift in shifts) < GOOD, sorted(shifts, reverse=True)[:3]

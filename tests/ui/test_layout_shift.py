"""Nothing jumps while a page loads: the sum of the browser's own layout shifts, of which 0.1 is called good."""

import pytest

from ui.navigation import MAIN_PAGES, MODELS, YOU

GOOD = 0.1
WATCH = """
window.shifts = [];
new PerformanceObserver((list) => { for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry); })
  .observe({ type: "layout-shift", buffered: true });
"""
TOLD = """window.shifts.map((entry) => [entry.value, ...entry.sources.slice(0, 2).map(({ node, previousRect, currentRect }) =>
  `${node?.className ?? "gone"} ${previousRect.y} to ${currentRect.y}`)])"""


SCREEN, SMALL = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.mark.parametrize(
    ("page", "size"),
    [*((page, SCREEN) for page in (*MAIN_PAGES, MODELS)), (YOU, SMALL), (MODELS, SMALL)],
    ids=lambda value: value["width"] if isinstance(value, dict) else value.url or "home",
)
def test_nothing_jumps_while_a_page_loads(server, chromium, page, size):
    context = chromium.new_context(viewport=size)
    context.add_init_script(WATCH)
    tab = context.new_page()
    tab.goto(f"{server}/{page.url}")
    tab.wait_for_selector("[data-testid=stApp][data-test-connection-state=CONNECTED]", state="attached")
    tab.locator(".st-key-foot").wait_for(state="attached")  # all of the page is there
    tab.wait_for_timeout(1500)
    shifts = tab.evaluate(TOLD)
    context.close()
    assert sum(shift[0] for shift in shifts) < GOOD, sorted(shifts, reverse=True)[:3]

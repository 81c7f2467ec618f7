"""How a page loads: nothing jumps, by the browser's own layout shifts, of which 0.1 is called good, and nothing is missing."""

import pytest

from ui.navigation import LINKED_PAGES, MAIN_PAGES, MODELS, PHONE, YOU

GOOD = 0.1
AT_ONCE = 4  # tabs
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
LINKS = {f"{page.url}, linked": (f"{page.url}?base=none", SCREEN) for page in (PHONE, *LINKED_PAGES)}


@pytest.fixture(scope="module")
def loaded(server, chromium, settle):
    """Each view: its shifts, and what it asked for in vain or complained of. Some tabs load at once, in a window for each size."""
    found, views, windows = {}, list((VIEWS | LINKS).items()), {}
    for size in (SCREEN, SMALL, WALL):
        windows[size["width"]] = chromium.new_context(viewport=size)
        windows[size["width"]].add_init_script(WATCH)
    for begin in range(0, len(views), AT_ONCE):
        shown = views[begin : begin + AT_ONCE]
        tabs = [_open(windows[size["width"]], f"{server}/{address}", name) for name, (address, size) in shown]
        for name, tab, _ in tabs:
            settle(tab)
            if name in VIEWS:
                tab.locator(".st-key-foot").wait_for(state="attached")  # all of the page is there
        tabs[-1][1].wait_for_timeout(1500)
        for name, tab, failures in tabs:
            found[name] = tab.evaluate(TOLD), failures
            tab.close()
    for window in windows.values():
        window.close()
    return found


def _open(window, address, name):
    tab, failures = window.new_page(), []
    tab.on("response", lambda response: failures.append((response.status, response.url)) if response.status >= 400 else None)
    tab.on("console", lambda line: failures.append((line.text, line.location)) if line.type == "error" else None)
    tab.goto(address, wait_until="commit")
    return name, tab, failures


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_jumps_while_a_page_loads(loaded, view):
    shifts, _ = loaded[view]
    assert sum(shift[0] for shift in shifts) < GOOD, sorted(shifts, reverse=True)[:3]


@pytest.mark.parametrize("view", [*VIEWS, *LINKS])
def test_a_page_asks_for_nothing_that_is_not_there(loaded, view):
    assert loaded[view][1] == []

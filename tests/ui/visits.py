"""A visit to a page of the app without a browser."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]


def app(page=None, **query):
    test = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=120)
    test.run()
    if page is not None:
        test.switch_page(str(ROOT / "pages" / page))
        for name, value in query.items():
            test.query_params[name] = value
        test.run()
    assert not test.exception
    return test

"""Security is tested on the pages and on the store: what their tests have made."""

from tests.ui.conftest import idle, place

__all__ = ["idle", "place"]

"""The page that shows the API, in a headless Chromium; test_openapi.py tries it on the Worker."""

from tests.browser.chromium import browse
from tests.browser.standin import StandIn


def test_it_is_shown_in_every_look() -> None:
    with StandIn(open_=True) as server:
        browse("docs", server.url)

"""Takes the picture of README.md, in front of canned answers: `python -m tests.browser.picture`."""

from tests.browser.chromium import browse
from tests.browser.standin import ADMIN, StandIn
from tools.layout import ROOT

TO = ROOT / "docs" / "dashboard.png"
VIEW = {"viewport": {"width": 1440, "height": 900}, "colorScheme": "light"}

if __name__ == "__main__":
    with StandIn() as server:
        browse("picture", server.url, key=ADMIN, to=str(TO), **VIEW)
    print(f"wrote {TO.relative_to(ROOT)}")

"""The dashboard's files are put together whole, and nothing old stays."""

import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from tools import assets
from tools.assets import DASHBOARD, DESCRIPTION, DOCS, assemble
from tools.layout import PUBLIC, ROOT
from tools.setup import SetupError


def test_the_pages_and_the_bundle_are_there(tmp_path: Path) -> None:
    target = tmp_path / "public"
    assemble(target)
    made = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    others = {
        name
        for path in PUBLIC.rglob("*")
        if path.is_file()
        and {DASHBOARD, DOCS}.isdisjoint((name := path.relative_to(PUBLIC)).parents)
    }
    parts = {"app.js", "app.css", "boot.js", "icon.svg", "licenses.txt"}
    docs = {DOCS / "docs.js", DOCS / "docs.css", DESCRIPTION}
    assert made == others | {DASHBOARD / name for name in parts} | docs
    assert list(tmp_path.iterdir()) == [target]
    for bundle, part in (("app.js", "u-wrap"), ("app.css", "u-wrap"), ("app.css", "light-dark(")):
        assert part in (target / DASHBOARD / bundle).read_text("utf-8")
    assert "import(" not in (target / DASHBOARD / "app.js").read_text("utf-8")


def test_it_names_the_file_and_line_that_can_not_be_bundled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(PUBLIC, broken)
    (broken / DASHBOARD / "api.js").write_text("export const key = ;")
    monkeypatch.setattr(assets, "PUBLIC", broken)
    with pytest.raises(SetupError, match=r"(?s)can't be bundled.*dashboard/api\.js:1:19"):
        assemble(tmp_path / "public")


def test_what_is_no_longer_there_goes_and_what_is_the_same_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "public"
    assemble(target)
    page, old = target / "dashboard.html", target / "dashboard" / "old.js"
    before = page.stat()
    old.write_text("old")
    (target / "_headers").write_text("changed")
    assemble(target)
    assert not old.exists()
    assert (target / "_headers").read_bytes() == (PUBLIC / "_headers").read_bytes()
    assert (page.stat().st_ino, page.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_page_names_no_other_host_and_has_nothing_inline() -> None:
    page = (PUBLIC / "dashboard.html").read_text("utf-8")
    assert "//" not in page.replace("<!--", "")
    for inline in ("<style", " style=", " onclick=", "javascript:"):
        assert inline not in page
    assert page.count("<script") == page.count("<script src=")


def test_the_page_takes_what_is_made_and_no_more() -> None:
    """Each file of its own costs a round trip before the first figures."""
    page = (PUBLIC / "dashboard.html").read_text("utf-8")
    assert re.findall(r'(?:src|href)="/dashboard/([^"]+)"', page.partition("<body>")[0]) == [
        *("icon.svg", "app.css", "boot.js", "app.js")
    ]


def test_the_setup_page_shows_the_blocks_of_the_documentation() -> None:
    guide = (ROOT / "docs/agents.md").read_text("utf-8")
    page = unescape((PUBLIC / "setup.html").read_text("utf-8"))
    blocks = re.findall(r"```\w+\n(.*?)\n```", guide, re.DOTALL)
    assert re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL) == blocks
    assert re.findall(r"<h2.*?>(.*?)</h2>", page) == re.findall(r"^## (.*)$", guide, re.MULTILINE)

"""The dashboard's files are put together whole, and nothing old stays."""

import re
from html import unescape
from pathlib import Path

from tools.assets import VENDORED, assemble
from tools.layout import PUBLIC, ROOT


def test_the_page_and_its_library_are_there(tmp_path: Path) -> None:
    target = tmp_path / "public"
    assemble(target)
    sources = {path.relative_to(PUBLIC) for path in PUBLIC.rglob("*") if path.is_file()}
    made = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    assert made == sources | set(VENDORED)
    assert list(tmp_path.iterdir()) == [target]


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


def test_every_module_is_loaded_at_once() -> None:
    """A module that is found only by an import costs a round trip of its own."""
    page = (PUBLIC / "dashboard.html").read_text("utf-8")
    for path in (PUBLIC / "dashboard").glob("*.js"):
        assert f'"/dashboard/{path.name}"' in page


def test_the_setup_page_shows_the_blocks_of_the_documentation() -> None:
    guide = (ROOT / "docs/agents.md").read_text("utf-8")
    page = unescape((PUBLIC / "setup.html").read_text("utf-8"))
    blocks = re.findall(r"```\w+\n(.*?)\n```", guide, re.DOTALL)
    assert re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL) == blocks
    assert re.findall(r"<h2.*?>(.*?)</h2>", page) == re.findall(r"^## (.*)$", guide, re.MULTILINE)

"""Every example of the documents runs, against the real Worker where it asks one."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.examples import Example, fill_in, find_examples, make_place
from tools.layout import NODE_MODULES, ROOT

EXAMPLES = find_examples()
REFUSED = ("no-such-model", '"requestsPerMinute": 2')
"""What stands in an example whose request is meant to fail."""
A_TEST = "def test_"


def run_shell(example: Example, url: str, place: Path) -> None:
    make_place(place)
    if "< aliases.jsonl" in example.text:
        alias = '{"name":"support","targets":[{"model":"auto"}]}\n'
        (place / "aliases.jsonl").write_text(alias)
    environment = {
        **os.environ,
        "PATH": f"{place / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        **dict.fromkeys(("ADMIN_TOKEN", "KEY", "ACCOUNT_ID", "API_TOKEN"), "any"),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", fill_in(example.text, url)],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    is_refused = any(words in example.text for words in REFUSED)
    assert bool(done.returncode) == is_refused, done.stdout + done.stderr


def run_program(command: list[str], text: str) -> None:
    done = subprocess.run(
        [*command, text], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "echo: " in done.stdout or "print" not in text, done.stdout


def run_python(example: Example, url: str, place: Path) -> None:
    text = f'PROXY_KEY = "any"\n{fill_in(example.text, url)}'
    run_program([sys.executable, "-c"], text)


def run_javascript(example: Example, url: str, place: Path) -> None:
    node = str(NODE_MODULES / ".bin" / "node")
    run_program([node, "--input-type=module", "-e"], fill_in(example.text, url))


def parse(read: Callable[[str], Any]) -> Callable[[Example, str, Path], None]:
    def run(example: Example, url: str, place: Path) -> None:
        assert read(example.text)

    return run


RUN: dict[str, Callable[[Example, str, Path], None]] = {
    "sh": run_shell,
    "python": run_python,
    "js": run_javascript,
    "json": parse(json.loads),
    "toml": parse(tomllib.loads),
    "yaml": parse(yaml.safe_load),
}
"""How an example of each language runs; what is no program is read."""


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> None:
    """No alias of another example."""
    httpx.delete(f"{request.getfixturevalue('open_url')}/admin/aliases/support", timeout=60)


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if A_TEST not in e.text], ids=lambda e: str(e.place)
)
def test_an_example_runs(example: Example, open_url: str, tmp_path: Path) -> None:
    RUN[example.language](example, open_url, tmp_path)


def test_the_example_of_a_test_passes(proxy: httpx.Client, script: Any, received: Any) -> None:
    [example] = [example for example in EXAMPLES if A_TEST in example.text]
    names: dict[str, Any] = {}
    exec(example.text, names)
    [test] = [value for name, value in names.items() if name.startswith("test_")]
    test(proxy, script, received)

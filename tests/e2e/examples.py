"""The examples of the documents: their blocks of code, and what stands in for heavy commands."""

import re
import shlex
import stat
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from tools.layout import CACHE, NODE_MODULES, ROOT
from tools.runtime import wrangler_environment

DOCUMENTS = (*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/**/*.md")))
COMMANDS = ("make", "npm", "npx", "python3", "claude", "codex", "jq", "curl")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ADDRESS = re.compile(r"https?://(?:127\.0\.0\.1:8787|YOUR-PROXY|PROXY|…)")
_FAIL = "--fail-with-body"
_CALL = f'#!/bin/sh\nexec {sys.executable} -m tests.e2e.examples "$(basename "$0")" "$@"\n'


class Example(NamedTuple):
    """A block of code of a document."""

    place: str
    """`docs/agents.md:14`"""
    language: str
    text: str


def find_examples() -> list[Example]:
    """All of them, but the output of commands, which their own tests write or compare."""
    return [
        Example(
            f"{path.relative_to(ROOT)}:{text[: found.start()].count(chr(10)) + 1}", *found.groups()
        )
        for path in DOCUMENTS
        for text in [path.read_text("utf-8")]
        for found in _BLOCK.finditer(text)
        if found[1] not in ("text", "md", "sql")
    ]


def fill_in(text: str, url: str) -> str:
    """The text for a deployment at `url`, on a day on which no date in it is over."""
    return re.sub(r"20\d\d(-01-01T00:00:00Z)", r"2099\1", _ADDRESS.sub(url, text))


def make_place(place: Path) -> None:
    """A folder in which examples of the shell run: commands that install, deploy or stay up are
    checked instead, by `check`."""
    (place / ".venv" / "bin").mkdir(parents=True)
    (place / "bin").mkdir()
    names = [*(place / "bin" / name for name in COMMANDS), place / "validate-deployment.sh"]
    for path in (*names, *(place / ".venv" / "bin" / name for name in ("python", "pytest"))):
        path.write_text(_CALL)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    model = {"model_name": "support", "litellm_params": {"model": "openai/gpt-4o"}}
    (place / "config.yaml").write_text(f"model_list: [{model}]\n")


def check(name: str, arguments: list[str]) -> int:
    """The exit status of a command in an example: 0 if it could run as it stands there."""
    if name == "curl":
        if any(argument.startswith("https://") for argument in arguments):
            return 0  # another host than the deployment under test
        fail = [] if any(re.fullmatch("-s?f", argument) for argument in arguments) else [_FAIL]
        return _run("/usr/bin/curl", *fail, *arguments)
    if name == "jq":
        sys.stdin.read()
        print('{"event":"request","proxy.request_id":"req_ID"}')
    checks = {
        "make": _check_make,
        "npx": _check_wrangler,
        "pytest": _check_pytest,
        "python": _check_module,
        "python3": _check_module,
    }
    # tests/agents runs the agents, and tests/e2e/test_validation.py the script.
    return checks[name](arguments) if name in checks else 0


def _check_make(arguments: list[str]) -> int:
    targets = set(re.findall(r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    return 0 if {a for a in arguments if "=" not in a} <= targets else 1


def _check_wrangler(arguments: list[str]) -> int:
    """Whether wrangler has this command with these flags."""
    command, *rest = arguments
    words = [*takewhile(lambda word: re.fullmatch("[a-z][a-z0-9]*", word), rest)]
    help_ = [str(NODE_MODULES / ".bin" / command), *words, "--help"]
    environment = wrangler_environment(CACHE)
    said = subprocess.run(
        help_, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    flags = [word for word in rest if word.startswith("--")]
    text = said.stdout + said.stderr
    return 0 if words[0] in text and all(flag in text for flag in flags) else 1


def _check_pytest(arguments: list[str]) -> int:
    """Whether the tests are there."""
    paths = [argument for argument in arguments if argument.startswith("tests/")]
    return 0 if paths and all((ROOT / path).exists() for path in paths) else 1


def _check_module(arguments: list[str]) -> int:
    flag, module, *rest = arguments
    if module == "tools.import_litellm":
        files = [
            argument if argument[0] == "-" else str(Path(argument).resolve()) for argument in rest
        ]
        return _run(sys.executable, flag, module, *files)
    found = ROOT / module.replace(".", "/")
    return 0 if flag == "-m" and (found.is_dir() or found.with_suffix(".py").is_file()) else 1


def _run(*command: str) -> int:
    cwd = None if command[0].endswith("curl") else ROOT
    return subprocess.run(command, cwd=cwd, check=False).returncode


if __name__ == "__main__":
    status = check(sys.argv[1], sys.argv[2:])
    if status:
        print(f"This does not work: {shlex.join(sys.argv[1:])}", file=sys.stderr)
    sys.exit(status)

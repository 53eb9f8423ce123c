"""A run's figures in docs/performance.md, their plot beside it, and the few of README.md."""

import json
import os
import platform
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import rows
from bench.plot import Bar, draw
from bench.summary import summarise
from bench.table import GOALS, OF_FLOOR, Table, goal_lines, lines
from tools.layout import NODE_MODULES, ROOT
from tools.settings import replace_between
from tools.settings import write as write_file

_DOCUMENT = ROOT / "docs" / "performance.md"
_PLOT = ROOT / "docs" / "performance.svg"
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"
_PLOTTED = ("hit", "miss", "burst")
_OURS, _OTHERS = "#2b6cb0", "#a0aec0"


def write(table: Table, arguments: Sequence[str], peers: Mapping[str, str]) -> None:
    """Writes them all. arguments: the command's; peers: their versions by name."""
    _PLOT.write_text(draw("of the floor, answers a second", list(_bars(table))), "utf-8")
    figures = (
        *(_BEGIN, "", *_circumstances(arguments, peers), ""),
        *(*goal_lines(table), "", f"![The ratios as bars]({_PLOT.name})", ""),
        *("### All figures", "", *lines(table), "", _END),
    )
    before, _, rest = _DOCUMENT.read_text("utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    document = before + "\n".join(figures) + after
    _DOCUMENT.write_text(document, "utf-8")
    readme = ROOT / "README.md"
    write_file(readme, replace_between(readme.read_text("utf-8"), "speed", summarise(document)))


def _circumstances(arguments: Sequence[str], peers: Mapping[str, str]) -> Iterator[str]:
    versions = {
        "the proxy": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
        **{name: _npm_version(NODE_MODULES / name) for name in ("workerd", "pyodide")},
        "Python (the load)": platform.python_version(),
        **peers,
    }
    yield f"- Command: `{shlex.join(('python', '-m', 'bench', *arguments))}`"
    yield f"- Date: {datetime.now(UTC):%Y-%m-%d}"
    yield f"- Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}"
    yield f"- Machine: {os.cpu_count()} processors, {_processor()}"


def _npm_version(package: Path) -> str:
    version: str = json.loads((package / "package.json").read_text("utf-8"))["version"]
    return version


def _processor() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _bars(table: Table) -> Iterator[Bar]:
    ours = (rows.HIT, rows.QUIET_HIT, rows.MISS, rows.PASSED, rows.TRIMMED, rows.TRANSLATED)
    for key in table:
        kind, connections, name = key
        ratio = table.ratio(key)
        if ratio is None or kind not in _PLOTTED or connections not in (10, 50):
            continue
        wanted = next(
            (
                goal.wanted
                for goal in GOALS
                if (goal.kind, goal.name, goal.figure) == (kind, name, OF_FLOOR)
            ),
            None,
        )
        who = name if name.startswith(kind) else f"{kind}: {name}"
        color = _OURS if name in ours else _OTHERS
        yield Bar(f"{who}, {connections} connections", ratio, wanted, color)

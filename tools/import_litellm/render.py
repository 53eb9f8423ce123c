"""Shows what came out of an import, and writes its files. No secret is ever shown."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.import_litellm.report import Remark, Report, Variable

_BARE = re.compile(r"[A-Za-z0-9_./:@%+=,*~-]*")


def render(report: Report) -> Iterator[str]:
    """The lines of the terminal."""
    variables = report.variables.values()
    yield "# Settings: lines of .env, or [vars] of wrangler.toml"
    yield from (f"{v.name}={quote(v.value)}" for v in variables if v.value and not v.is_secret)
    yield "\n# To set by hand, keys as secrets (npx wrangler secret put NAME)"
    yield from (f"#{v.name}=   {_explain(v)}" for v in variables if v.is_secret or not v.value)
    yield "\n# Aliases: a line each for POST /admin/aliases"
    yield from render_aliases(report)
    for title, remarks in (
        ("Not carried over", report.losses),
        ("Carried over, with a difference", report.differences),
        ("Left out, since it needs nothing here", report.needless),
    ):
        if remarks:
            yield f"\n# {title}"
            yield from _render_remarks(remarks)


def _explain(variable: Variable) -> str:
    if variable.source:
        return f"LiteLLM reads {variable.source}"
    return "it stands in the file; --env writes it"


def _render_remarks(remarks: Iterable[Remark]) -> Iterator[str]:
    for remark in dict.fromkeys(remarks):
        instead = f" Instead: {remark.instead}." if remark.instead else ""
        yield f"# - {remark.place}: {remark.what}{instead}"


def render_aliases(report: Report) -> Iterator[str]:
    """A line of JSON for each alias."""
    return (json.dumps(alias) for alias in report.aliases)


def render_env(report: Report) -> Iterator[str]:
    """The lines of .env, with the secrets that stand in the file."""
    for variable in report.variables.values():
        if variable.value:
            yield f"{variable.name}={quote(variable.value)}"
        else:
            yield f"#{variable.name}=   # {_explain(variable)}"


def quote(value: str) -> str:
    """The value as a line of .env takes it."""
    return value if _BARE.fullmatch(value) else f"'{value}'"


def write_private(path: Path, lines: Iterable[str]) -> None:
    """Write a new file that only its owner reads (mode 0600). Raises OSError, if it exists too."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)

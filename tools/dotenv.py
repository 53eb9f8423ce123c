"""Look over .env before the Worker starts: a misspelt name would be ignored without a word.

The names that there are stand in .env.example, which is tested against the Worker's own table.
"""

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from tools.layout import ROOT, SOURCES

FILES = (".env", ".env.local", ".env.development", ".env.development.local", ".dev.vars")
"""What `wrangler dev --env development` reads."""
PROVIDER_ENDS = (
    "API_KEY",
    "KEYS_SHARE_QUOTA",
    "BASE_URL",
    "EMBEDDINGS_BASE_URL",
    "MODELS",
    "RATE_LIMIT_PER_HOUR",
    "RATE_LIMIT_BURST",
)
"""How the names of a provider's settings end (core.settings: ProviderAccess, ProviderLimits)."""
ELSEWHERE = {
    "GOOGLE_API_KEY": "GEMINI_API_KEY",
    "HF_TOKEN": "HUGGINGFACE_API_KEY",
    "HUGGINGFACEHUB_API_TOKEN": "HUGGINGFACE_API_KEY",
}
"""What other tools call the same."""
_OTHERS = ("CLOUDFLARE_", "WRANGLER_", "MINIFLARE_")
_SETTING = re.compile(r"^#?([A-Z][A-Z0-9_]*)=", re.MULTILINE)
_LINE = re.compile(r"(?:export\s+)?([^\s=#'\"]+)\s*=\s*(.*)")
_SERVERS = re.compile(r"^\s*(?:export\s+)?LOCAL_PROVIDERS\s*=(.*)$", re.MULTILINE)
_FURTHER = re.compile(r"(?<=_API_KEY)_([1-9][0-9]?)$")
_CLOSE = 0.75
"""The likeness (0 to 1) from which on a name is taken for a misspelt one."""


class Findings(NamedTuple):
    """What is to be said of the files."""

    warnings: list[str]
    has_provider: bool
    """Whether a provider's key or address is set."""


def list_settings() -> frozenset[str]:
    """The names of all settings that the Worker reads."""
    common = _SETTING.findall((ROOT / ".env.example").read_text("utf-8"))
    return frozenset(common) | _combine(*PROVIDER_ENDS)


def _combine(*ends: str, servers: Iterable[str] = ()) -> set[str]:
    """The names of every provider's settings that end so; servers: those of LOCAL_PROVIDERS."""
    catalog = json.loads((SOURCES / "proxy" / "providers" / "catalog.json").read_text("utf-8"))
    providers = [name.upper().replace("-", "_") for name in (*catalog["providers"], *servers)]
    return {f"{provider}_{end}" for provider in providers for end in ends}


def _find_servers(folder: Path, files: Iterable[str]) -> list[str]:
    """The servers that files of `folder` name by LOCAL_PROVIDERS."""
    paths = [path for file in files if (path := folder / file).is_file()]
    text = "\n".join(path.read_text("utf-8", "replace") for path in paths)
    return [name for given in _SERVERS.findall(text) for name in re.findall("[a-z0-9-]+", given)]


def check(folder: Path = ROOT, files: Iterable[str] = FILES) -> Findings:
    """Read files of `folder`; a warning names the file, the line and what is nearest."""
    servers = _find_servers(folder, files)
    settings = list_settings() | _combine(*PROVIDER_ENDS, servers=servers)
    opening = _combine("API_KEY", "BASE_URL", servers=servers)
    warnings: list[str] = []
    has_provider = False
    for file in files:
        path = folder / file
        lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        open_quote = ""
        for number, line in enumerate(lines, 1):
            if open_quote:  # within a value of several lines
                open_quote = "" if open_quote in line else open_quote
                continue
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            found = _LINE.match(line.strip())
            if not found:
                warnings.append(f"{file}, line {number} has no NAME=value and is ignored.")
                continue
            name, value = found.groups()
            if value[:1] in ("'", '"', "`") and value.count(value[0]) == 1:
                open_quote = value[0]
            name = _FURTHER.sub("", name)
            has_provider |= bool(value) and name in opening
            if name not in settings and (nearest := _find_nearest(name, settings)):
                warnings.append(
                    f"{file}, line {number}: {name} is no setting and is ignored."
                    f" Did you mean {nearest}?"
                )
    return Findings(warnings, has_provider)


def _find_nearest(name: str, settings: frozenset[str]) -> str | None:
    if name.startswith(_OTHERS):
        return None
    if name.upper() in ELSEWHERE:
        return ELSEWHERE[name.upper()]
    close = get_close_matches(name.upper(), sorted(settings), 1, _CLOSE)
    return close[0] if close else None

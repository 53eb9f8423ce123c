"""Write the settings' tables: .env.example and docs/configuration.md, from the sections' fields.

    python -m tools.settings

What stands before the mark in .env.example, and outside of the marks in docs/configuration.md, is
written by hand.
"""

import re
import sys
import textwrap
from pathlib import Path

from msgspec import Struct

from tools.layout import ROOT, SOURCES

sys.path.insert(0, str(SOURCES))

from proxy.core.settings import (
    ProviderAccess,
    ProviderLimits,
    Settings,
    name_variable,
)
from proxy.core.settings.values import Setting, list_settings

ENV_EXAMPLE = ROOT / ".env.example"
DOCUMENT = ROOT / "docs" / "configuration.md"
ENV_MARK = "# What follows is written by `python -m tools.settings`.\n"
WIDTH = 98
"""Characters of a line in .env.example."""
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_ASIDE = re.compile(rf" \({_LINK.pattern}\)")
"""A link that stands between brackets."""


def render_env_example(text: str) -> str:
    """The file with what follows its mark written anew."""
    head, mark, _ = text.partition(ENV_MARK)
    if not mark:
        raise ValueError(f".env.example lacks the line {ENV_MARK!r}")
    return head + mark + "".join(map(_render_env_section, _sections()))


def render_document(text: str) -> str:
    """The document with what stands between its marks written anew."""
    sections = "\n".join(
        f"### {title}\n\n{intro}{_render_table(list_settings(section))}"
        for section in _sections()
        for title, intro in [_read_heading(section)]
    )
    providers = list_settings(ProviderAccess) | list_settings(ProviderLimits)
    table = _render_table(providers, "openai")
    return replace_between(replace_between(text, "settings", sections), "provider settings", table)


def _sections() -> list[type[Struct]]:
    return list(Settings.__annotations__.values())


def _read_heading(section: type[Struct]) -> tuple[str, str]:
    """A section's title, and what its docstring says beside it."""
    title, _, intro = (section.__doc__ or "").partition("\n")
    intro = " ".join(intro.split())
    return title.rstrip("."), f"{intro}\n\n" if intro else ""


def _render_env_section(section: type[Struct]) -> str:
    title, intro = _read_heading(section)
    lines = ["", f"# --- {title} ".ljust(92, "-"), *_comment(intro)]
    for setting, meaning in list_settings(section).values():
        lines += _comment(_summarize(meaning, setting.reader.values))
        lines.append(f"#{setting.name}={setting.example or setting.default}")
    return "\n".join(lines) + "\n"


def _summarize(meaning: str, values: str) -> str:
    """The first sentence as plain text, with the values where it does not explain them."""
    first, _, _ = _ASIDE.sub("", meaning).partition(". ")
    explained = any(f"{value}:" in first for value in values.split(", "))
    text = first.rstrip(".") + (f" ({values})." if values and not explained else ".")
    return _LINK.sub(r"\1", text).replace("`", "")


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False)]


def _render_table(settings: dict[str, tuple[Setting, str]], provider: str = "") -> str:
    rows = ["| setting | default | values | meaning |", "| --- | --- | --- | --- |"]
    for setting, meaning in settings.values():
        name = name_variable(provider, setting.name) if provider else setting.name
        default = f"`{setting.default}`" if setting.default else ""
        example = f" For example `{setting.example}`." if setting.example else ""
        rows.append(f"| `{name}` | {default} | {setting.reader.values} | {meaning}{example} |")
    return re.sub(r"\|  (?=\|)", "| ", "\n".join(rows)) + "\n"


def replace_between(text: str, name: str, content: str) -> str:
    """The text with what stands between `<!-- NAME -->` and `<!-- end of NAME -->` replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"The document lacks the marks {begin!r} and {end!r}")
    return text[: text.index(begin)] + begin + "\n" + content + "\n" + text[text.index(end) :]


def write(file: Path, text: str) -> None:
    """Write the file if it changes, and say so."""
    if file.read_text("utf-8") != text:
        file.write_text(text, "utf-8")
        print(f"wrote {file.relative_to(ROOT)}")


if __name__ == "__main__":
    write(ENV_EXAMPLE, render_env_example(ENV_EXAMPLE.read_text("utf-8")))
    write(DOCUMENT, render_document(DOCUMENT.read_text("utf-8")))

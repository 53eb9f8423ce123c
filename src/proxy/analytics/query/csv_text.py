"""Rows as CSV (RFC 4180), of which no cell is run as a formula by a spreadsheet that opens it."""

import re
from collections.abc import Iterable, Mapping

import msgspec

CONTENT_TYPE = "text/csv; charset=utf-8; header=present"
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\0]")
"""How a text begins that a spreadsheet may take for a formula (OWASP, CSV Injection), in the wide
forms too that some take for the same."""
_QUOTED = re.compile(r'[",\r\n;\t]')


def render_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as lines. None is an empty cell; what is neither text nor number is JSON."""
    text = "".join(",".join(map(_render_cell, row)) + "\r\n" for row in rows)
    return text.encode("utf-8", "replace")


def flatten(row: Mapping[str, object]) -> dict[str, object]:
    """A row whose cells are no objects: their fields are cells of their own, as in `cache.kv`."""
    flat: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": cell for inner, cell in flatten(value).items()}
        else:
            flat[name] = value
    return flat


def _render_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        value = msgspec.json.encode(value).decode() if value else ""
    if _FORMULA.match(value):
        value = f"'{value}"
    return '"' + value.replace('"', '""') + '"' if _QUOTED.search(value) else value

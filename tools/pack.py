"""Pack the Worker: the package `proxy` becomes one zip, from which Python imports.

What wrangler uploads is then `entry.py` and `proxy.zip`, a quarter of the sources' size, beside
the vendored packages. Comments, docstrings and the catalogue's `$about` stay behind, and every line
of Python keeps its number. `tools/build.py` does this before each `dev` and `deploy` and after each
change to src/. The same sources give the same bytes.
"""

import io
import json
import tempfile
import tokenize
import zipfile
from functools import cache
from pathlib import Path

from tools.layout import SOURCES, WORKER

_OUTSIDE = ("entry.py", "packed.py")  # what runs before the zip can be imported from
_SUFFIXES = (".py", ".json")
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_MODE = 0o100644
_STARTS = (tokenize.ENCODING, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
_ENDS = (tokenize.NEWLINE, tokenize.ENDMARKER)


def pack(sources: Path = SOURCES, target: Path = WORKER) -> None:
    """Bring `target` up to date with `sources`.

    Several may do so at once, and wranglers may watch: a file is replaced as a whole, and left
    alone where its content is the same.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in _OUTSIDE:
        put(target / name, (sources / name).read_bytes(), target.parent)
    put(target / "proxy.zip", _zipped(sources / "proxy"), target.parent)


def _zipped(package: Path) -> bytes:
    """The package with its data files as a zip, in which its name is the top folder."""
    files = {
        path.relative_to(package.parent).as_posix(): path
        for path in package.rglob("*")
        if path.suffix in _SUFFIXES
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = _MODE << 16
            content = files[name].read_bytes()
            packed = without_prose(content) if name.endswith(".py") else without_about(content)
            archive.writestr(entry, packed, compresslevel=9)
    return buffer.getvalue()


@cache
def without_prose(source: bytes) -> bytes:
    """Python's source without comments, and with "" for each string that is a statement: the
    same code in the same lines. As it is, where it is no Python."""
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return source  # Python says what is wrong with it
    lines = source.decode().splitlines(keepends=True)
    code = [token for token in tokens if token.type not in (tokenize.NL, tokenize.COMMENT)]
    cuts = {token: "" for token in tokens if token.type == tokenize.COMMENT}
    for before, token, after in zip(code, code[1:], code[2:], strict=False):
        if token.type == tokenize.STRING and before.type in _STARTS and after.type in _ENDS:
            cuts[token] = '""'
    for token in sorted(cuts, key=lambda token: token.start, reverse=True):
        _replace(lines, token, cuts[token])
    return "".join(lines).encode()


def without_about(data: bytes) -> bytes:
    """JSON without `$about`, which explains it. As it is, where it has none or is no JSON: the
    Worker says where the fault is."""
    try:
        content = json.loads(data)
    except ValueError:
        return data
    if not isinstance(content, dict) or content.pop("$about", None) is None:
        return data
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _replace(lines: list[str], token: tokenize.TokenInfo, text: str) -> None:
    (first, start), (last, end) = token.start, token.end
    rest = lines[last - 1][end:]
    lines[first - 1] = (lines[first - 1][:start] + text).rstrip(" ") + "\n" * (last > first)
    lines[first:last] = ["\n"] * (last - first)
    lines[last - 1] = lines[last - 1].rstrip("\n") + rest


def put(path: Path, content: bytes, outside: Path) -> None:
    """Write a file as a whole, by way of the directory `outside`, if it has another content."""
    if path.is_file() and path.read_bytes() == content:
        return
    # Not in the folder itself: a wrangler that collects it would upload the half-written file.
    with tempfile.TemporaryDirectory(dir=outside) as scratch:
        (Path(scratch) / path.name).write_bytes(content)
        (Path(scratch) / path.name).replace(path)

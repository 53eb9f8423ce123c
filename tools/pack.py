"""Pack the Worker: the package `proxy` becomes one zip, from which Python imports.

What wrangler uploads is then `entry.py` and `proxy.zip`, a third of the sources' size, beside the
vendored packages. `tools/build.py` does this before each `dev` and `deploy` and after each change
to src/. The same sources give the same bytes.
"""

import io
import tempfile
import zipfile
from pathlib import Path

from tools.layout import SOURCES, WORKER

_OUTSIDE = ("entry.py", "packed.py")  # what runs before the zip can be imported from
_SUFFIXES = (".py", ".json")
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_MODE = 0o100644


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
            archive.writestr(entry, files[name].read_bytes(), compresslevel=9)
    return buffer.getvalue()


def put(path: Path, content: bytes, outside: Path) -> None:
    """Write a file as a whole, by way of the directory `outside`, if it has another content."""
    if path.is_file() and path.read_bytes() == content:
        return
    # Not in the folder itself: a wrangler that collects it would upload the half-written file.
    with tempfile.TemporaryDirectory(dir=outside) as scratch:
        (Path(scratch) / path.name).write_bytes(content)
        (Path(scratch) / path.name).replace(path)

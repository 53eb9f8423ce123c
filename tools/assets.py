"""Put together what the Worker serves as files: its pages, the dashboard and the API's page as
bundles, and the description of the interface.

`tools/build.py` does this before each `dev` and `deploy` and after each change to public/.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from tools.describe import describe
from tools.layout import ASSETS, NODE_MODULES, PUBLIC, ROOT
from tools.pack import put
from tools.setup import SetupError

PROGRAMS = NODE_MODULES / ".bin"
ESBUILD = PROGRAMS / "esbuild"
"""A script for Node, or a program where npm has run the package's own script: so it runs itself."""
DASHBOARD = Path("dashboard")
DOCS = Path("docs")
ENTRIES = {
    DASHBOARD / "app.js": DASHBOARD / "main.js",
    DASHBOARD / "app.css": DASHBOARD / "css" / "index.css",
    DOCS / "docs.js": DOCS / "main.js",
}
"""What is made of which file, and of those that it imports."""
AS_THEY_ARE = (DASHBOARD / "boot.js", DASHBOARD / "icon.svg", DOCS / "docs.css")
"""The files beside them that are served by themselves."""
LICENSES = {DASHBOARD / "licenses.txt": NODE_MODULES / "uplot" / "LICENSE"}
"""Of the libraries that are in the bundle."""
DESCRIPTION = Path("openapi.json")


def assemble(target: Path = ASSETS) -> None:
    """Bring `target` up to date; several may do so at once, and wranglers may watch.

    Raises SetupError where npm's packages are not installed or the bundle can't be made.
    """
    sources = {path.relative_to(PUBLIC): path for path in PUBLIC.rglob("*") if path.is_file()}
    files = {
        name: source.read_bytes()
        for name, source in (sources | LICENSES).items()
        if {DASHBOARD, DOCS}.isdisjoint(name.parents) or name in (*AS_THEY_ARE, *LICENSES)
    }
    files |= _bundle() | {DESCRIPTION: describe()}
    for name, content in files.items():
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        put(place, content, target.parent)
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target) not in files:
            path.unlink(missing_ok=True)


def _bundle() -> dict[Path, bytes]:
    """The bundles by their names."""
    if not ESBUILD.exists() or not all(source.is_file() for source in LICENSES.values()):
        raise SetupError("npm's packages are missing. Run: python3 -m tools.setup node")
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [
                *(str(ESBUILD), f"--outdir={scratch}", "--bundle", "--minify", "--format=iife"),
                *("--target=es2022", "--charset=utf8", "--legal-comments=none"),
                *("--log-level=warning",),
                *(f"{name.with_suffix('')}={PUBLIC / of}" for name, of in ENTRIES.items()),
            ],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SetupError(f"The pages can't be bundled:\n{done.stderr}")
        return {name: (Path(scratch) / name).read_bytes() for name in ENTRIES}

"""Put together what the Worker serves as files: its pages, the dashboard as one script and one
style sheet, and the description of the interface.

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
ENTRIES = {"app.js": "main.js", "app.css": "css/index.css"}
"""What is made of which of the dashboard's files, and of those that it imports."""
AS_THEY_ARE = ("boot.js", "icon.svg")
"""The dashboard's files that are served by themselves."""
LICENSES = {DASHBOARD / "licenses.txt": NODE_MODULES / "uplot" / "LICENSE"}
"""Of the libraries that are in the bundle."""
DESCRIPTION = Path("openapi.json")


def assemble(target: Path = ASSETS) -> None:
    """Bring `target` up to date; several may do so at once, and wranglers may watch.

    Raises SetupError where npm's packages are not installed or the bundle can't be made.
    """
    sources = {path.relative_to(PUBLIC): path for path in PUBLIC.rglob("*") if path.is_file()}
    own = {DASHBOARD / name for name in AS_THEY_ARE}
    files = {
        name: source.read_bytes()
        for name, source in (sources | LICENSES).items()
        if DASHBOARD not in name.parents or name in own or name in LICENSES
    }
    files |= {DASHBOARD / name: content for name, content in _bundle().items()}
    files[DESCRIPTION] = describe()
    for name, content in files.items():
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        put(place, content, target.parent)
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target) not in files:
            path.unlink(missing_ok=True)


def _bundle() -> dict[str, bytes]:
    """The bundles by their names."""
    if not ESBUILD.exists() or not all(source.is_file() for source in LICENSES.values()):
        raise SetupError("npm's packages are missing. Run: python3 -m tools.setup node")
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [
                *(str(ESBUILD), f"--outdir={scratch}", "--bundle", "--minify", "--format=iife"),
                *("--target=es2022", "--charset=utf8", "--legal-comments=none"),
                *("--log-level=warning",),
                *(f"{Path(name).stem}={PUBLIC / DASHBOARD / of}" for name, of in ENTRIES.items()),
            ],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SetupError(f"The dashboard can't be bundled:\n{done.stderr}")
        return {name: (Path(scratch) / name).read_bytes() for name in ENTRIES}

"""Put together what the Worker serves as files: the dashboard and the library that draws its plots.

`tools/build.py` does this before each `dev` and `deploy` and after each change to public/.
"""

from pathlib import Path

from tools.layout import ASSETS, NODE_MODULES, PUBLIC
from tools.pack import put
from tools.setup import SetupError

UPLOT = NODE_MODULES / "uplot"
VENDOR = Path("dashboard", "vendor")
VENDORED = {
    VENDOR / "uplot.js": UPLOT / "dist" / "uPlot.iife.min.js",
    VENDOR / "uplot.css": UPLOT / "dist" / "uPlot.min.css",
    VENDOR / "uplot-license.txt": UPLOT / "LICENSE",
}


def assemble(target: Path = ASSETS) -> None:
    """Bring `target` up to date; several may do so at once, and wranglers may watch.

    Raises SetupError where npm's packages are not installed.
    """
    if not UPLOT.is_dir():
        raise SetupError("npm's packages are missing. Run: python3 -m tools.setup node")
    files = {path.relative_to(PUBLIC): path for path in PUBLIC.rglob("*") if path.is_file()}
    files |= VENDORED
    for name, source in files.items():
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        put(place, source.read_bytes(), target.parent)
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target) not in files:
            path.unlink(missing_ok=True)

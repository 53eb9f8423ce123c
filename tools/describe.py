"""Have the interface described (tools/openapi), by a Python that has the Worker's packages."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from tools.layout import DESCRIBER, ROOT, VENV
from tools.setup import PARTS, SetupError, install


def describe() -> bytes:
    """The document of OpenAPI. Raises SetupError."""
    command = (str(_find_python()), "-m", "tools.openapi")
    made = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if made.returncode:
        raise SetupError(f"The interface can't be described:\n{made.stderr.decode()[-2000:]}")
    return made.stdout


def _find_python() -> Path:
    """This one, that of the tests, or one that is made for it. Raises SetupError."""
    if importlib.util.find_spec("msgspec"):
        return Path(sys.executable)
    if PARTS["venv"].in_place():
        return VENV / "bin" / "python"
    install(["describer"])
    return DESCRIBER / "bin" / "python"

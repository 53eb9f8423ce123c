"""Have the interface described (tools/openapi), by a Python that has the Worker's packages."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from tools.layout import DESCRIBER, ROOT
from tools.setup import SetupError, install


def describe() -> bytes:
    """The document of OpenAPI. Raises SetupError."""
    python = Path(sys.executable)
    if importlib.util.find_spec("msgspec") is None:
        install(["describer"])
        python = DESCRIBER / "bin" / "python"
    command = (str(python), "-m", "tools.openapi")
    made = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if made.returncode:
        raise SetupError(f"The interface can't be described:\n{made.stderr.decode()[-2000:]}")
    return made.stdout

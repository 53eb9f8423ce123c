"""The offline runtime: it lets the real workerd start where only package registries are reachable.

workerd carries no Python, and wrangler lets it download Cloudflare's bundle of Pyodide. Here that
bundle is built from npm's `pyodide` instead, and a script in workerd's place hands it over. This
module alone decides which of the two runs: PYTHON_RUNTIME=cloudflare turns the offline one off.
The production flags in wrangler.toml never change, and nothing of this is deployed.
"""

import os
from pathlib import Path

IS_ON = os.environ.get("PYTHON_RUNTIME", "offline") != "cloudflare"

HERE = Path(__file__).parent
STDLIB_COMPILER = HERE / "compile_stdlib.mjs"
WORKERD = HERE / "workerd.sh"

PARTS = ("bundle",) if IS_ON else ()
"""What tools.setup has to install beside wrangler and the Worker's packages."""

FLAGS = ("python_workers_development", "experimental") if IS_ON else ()
"""Compatibility flags beside the Worker's own: workerd then takes the bundle from a file."""


def environment(snapshot: Path | None) -> dict[str, str]:
    """Variables by which wrangler starts the script in workerd's place, with a memory snapshot."""
    if not IS_ON:
        return {}
    own = {"MINIFLARE_WORKERD_PATH": str(WORKERD)}
    return own | ({"PYTHON_SNAPSHOT": str(snapshot)} if snapshot else {})

"""Runs the scenarios of scenarios.mjs in a headless Chromium."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools.layout import BROWSER, NODE_MODULES, SCREENSHOTS

SCRIPT = Path(__file__).parent / "browser.mjs"


def browse(scenario: str, url: str, **options: Any) -> Any:
    """The scenario's result; fails the test where it fails. CHROMIUM names another browser than
    the one that setup unpacked."""
    program, environment = _chromium()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    options |= {"chromium": program, "shots": str(SCREENSHOTS)}
    done = subprocess.run(
        [NODE_MODULES / ".bin" / "node", SCRIPT, scenario, url, json.dumps(options)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{scenario}: {done.stderr}", pytrace=False)
    return json.loads(done.stdout)


def _chromium() -> tuple[str, dict[str, str]]:
    if named := os.environ.get("CHROMIUM"):
        return named, {}
    program = BROWSER / "chromium"
    if not program.exists():
        pytest.skip("no Chromium for this machine: name one in CHROMIUM")
    own = {
        "LD_LIBRARY_PATH": str(BROWSER / "al2023" / "lib"),
        "FONTCONFIG_FILE": str(BROWSER / "fonts.conf"),
    }
    return str(program), own

"""One switch decides which Python runtime workerd gets."""

import os
import subprocess
import sys

import pytest

from tools.layout import ROOT

PRINT = (
    "from pathlib import Path; from tools import dev, offline, setup;"
    "print(dev.PARTS, offline.FLAGS, offline.environment(Path('/s')), 'bundle' in setup.PARTS)"
)


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        (
            "offline",
            "('node', 'worker-packages', 'describer', 'bundle')"
            " ('python_workers_development', 'experimental')"
            f" {{'MINIFLARE_WORKERD_PATH': '{ROOT}/tools/offline/workerd.sh',"
            " 'PYTHON_SNAPSHOT': '/s'}"
            " True",
        ),
        ("cloudflare", "('node', 'worker-packages', 'describer') () {} False"),
    ],
)
def test_the_switch(runtime: str, expected: str) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", PRINT],
        cwd=ROOT,
        env={**os.environ, "PYTHON_RUNTIME": runtime},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip() == expected


def test_the_script_names_a_workerd_that_is_there() -> None:
    assert os.access(ROOT / "tools" / "offline" / "workerd.sh", os.X_OK)
    assert list((ROOT / "node_modules" / "@cloudflare").glob("workerd-*/bin/workerd"))

"""What is written down twice, because two tools read it, says the same."""

import tomllib

import proxy
from tools.layout import LOCKS, ROOT


def test_pywrangler_and_make_vendor_the_same_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = (LOCKS / "worker.in").read_text().splitlines()
    assert set(project["dependencies"]) <= set(pins)
    assert set(project["dependencies"]) <= set((LOCKS / "dev.in").read_text().splitlines())


def test_the_version_is_the_one_that_health_tells() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == proxy.__version__

"""A Worker is built with its packages, or not at all."""

from pathlib import Path

import pytest

from tools import assets, build
from tools.build import find_missing
from tools.setup import SetupError

LOCK = """msgspec==0.22.0 \\
    --hash=sha256:00
workers-runtime-sdk==1.9.5 \\
    --hash=sha256:11
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "worker.txt"
    path.write_text(LOCK)
    return path


def vendor(modules: Path, *names: str) -> None:
    for name in names:
        (modules / f"{name}.dist-info").mkdir(parents=True)


def test_what_is_missing_is_named(lock: Path, tmp_path: Path) -> None:
    modules = tmp_path / "python_modules"
    both = ["msgspec==0.22.0", "workers-runtime-sdk==1.9.5"]
    assert find_missing(lock, modules) == both
    vendor(modules, "msgspec-0.21.0", "workers_runtime_sdk-1.9.5")
    assert find_missing(lock, modules) == both[:1]
    vendor(modules, "msgspec-0.22.0")
    assert find_missing(lock, modules) == []


def test_packages_that_can_t_be_installed_stop_the_build(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "find_missing", lambda: ["msgspec==0.22.0"])
    monkeypatch.setattr(build, "install", lambda _: False)
    monkeypatch.setattr(build, "pack", lambda: pytest.fail("nothing is to be packed"))
    assert build.main() == 1
    assert "python3 -m tools.setup worker-packages" in capsys.readouterr().err


def test_without_npms_packages_the_command_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(assets, "ESBUILD", tmp_path / "node_modules" / ".bin" / "esbuild")
    with pytest.raises(SetupError, match=r"python3 -m tools\.setup node"):
        assets.assemble(tmp_path / "public")

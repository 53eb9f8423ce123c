"""Each part is made once, again when its inputs change, and never half."""

import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tools import setup
from tools.setup import Part, SetupError


class Made:
    """Counts how often a part was made, and can fail."""

    def __init__(self) -> None:
        self.times = 0
        self.error: Exception | None = None

    def __call__(self, part: Part) -> None:
        self.times += 1
        part.product.write_text("half")
        if self.error:
            raise self.error
        part.product.write_text("whole")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A clone with one part, `thing`, made from the file `input`, and `other` that needs it."""
    thing, other = Made(), Made()
    monkeypatch.setattr(setup, "CACHE", tmp_path)
    monkeypatch.setattr(setup, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "_STAMPS", tmp_path / "stamps")
    (tmp_path / "input").write_text("1")
    parts = (
        Part("thing", "a thing", thing, tmp_path / "thing", (tmp_path / "input",)),
        Part("other", "another", other, tmp_path / "other", (), needs=("thing",)),
    )
    monkeypatch.setattr(setup, "PARTS", {part.name: part for part in parts})
    return thing


def test_a_part_is_made_once(made: Made) -> None:
    assert setup.install(["thing"])
    assert not setup.install(["thing"])
    assert made.times == 1


def test_an_extra_is_made_only_where_it_is_named(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = Part("extra", "a large thing", Made(), tmp_path / "extra", (), is_extra=True)
    monkeypatch.setitem(setup.PARTS, "extra", extra)
    assert setup.main([]) == 0
    assert made.times == 1
    assert not extra.product.exists()
    assert setup.main(["extra"]) == 0
    assert extra.product.exists()


def test_a_part_is_made_again_when_an_input_changes(made: Made, tmp_path: Path) -> None:
    setup.install(["thing"])
    (tmp_path / "input").write_text("2")
    assert setup.install(["thing"])
    assert made.times == 2


def test_a_part_is_made_again_when_its_product_is_gone(made: Made, tmp_path: Path) -> None:
    setup.install(["thing"])
    (tmp_path / "thing").unlink()
    setup.install(["thing"])
    assert made.times == 2


def test_another_python_makes_a_part_again(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.install(["thing"])
    monkeypatch.setattr(sys, "version_info", (3, 99))
    setup.install(["thing"])
    assert made.times == 2


@pytest.mark.parametrize("error", [SetupError("no network"), KeyboardInterrupt()])
def test_what_was_interrupted_is_made_again(made: Made, error: Exception, tmp_path: Path) -> None:
    made.error = error
    with pytest.raises(type(error)):
        setup.install(["thing"])
    made.error = None
    assert setup.install(["thing"])
    assert (tmp_path / "thing").read_text() == "whole"


def test_a_part_brings_what_it_needs_first(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    setup.install(["other"])
    assert made.times == 1
    assert [line[:5] for line in capsys.readouterr().out.splitlines()] == ["[1/2]", "[2/2]"]


def test_a_part_is_made_again_after_what_it_needs(made: Made, tmp_path: Path) -> None:
    setup.install(["other"])
    (tmp_path / "other").write_text("old")
    (tmp_path / "input").write_text("2")
    setup.install(["other"])
    assert (tmp_path / "other").read_text() == "whole"


def test_a_second_setup_waits_and_says_so(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=setup.install, args=[["thing"]])
        second.start()
        second.join(0.3)
        assert made.times == 0
    second.join()
    assert made.times == 1
    assert "Waiting for another setup" in capsys.readouterr().out


def test_what_is_in_place_waits_for_no_other_setup(made: Made, tmp_path: Path) -> None:
    setup.install(["thing"])
    with (tmp_path / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=setup.install, args=[["thing"]], daemon=True)
        second.start()
        second.join(10)
        assert not second.is_alive()
    assert made.times == 1


def test_a_command_that_fails_is_told_with_its_output(made: Made) -> None:
    program = "import sys; print('the reason'); sys.exit(3)"
    with pytest.raises(SetupError, match=r"(?s)ended with status 3.*the reason.*setup-thing\.log"):
        setup.PARTS["thing"].run(sys.executable, "-c", program)


def test_a_program_that_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SetupError, match="node is not on the PATH; node 20 or newer"):
        setup._check_machine(["node"])


def test_a_program_that_is_too_old_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node").write_text("#!/bin/sh\necho v16.3.1\n")
    (tmp_path / "node").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"node 20 or newer is needed; .*/node is v16\.3\.1"):
        setup._check_machine(["node"])


def test_an_unknown_part_is_refused_with_the_choices() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "tools.setup", "nonsense"],
        cwd=Path(setup.__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2
    assert (
        "choose from node venv worker-packages describer bundle browser local-model"
        in process.stderr
    )

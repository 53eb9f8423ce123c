"""What runs the tests takes no failure for a success."""

from collections import Counter

import pytest

from tests import run
from tools.layout import ROOT


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [("true", "true", 0), ("exit 3", "true", 3), ("true", "exit 4", 4), ("true", "kill -9 $$", 9)],
)
def test_the_worst_end_is_everyones(
    monkeypatch: pytest.MonkeyPatch, first: str, second: str, status: int
) -> None:
    """That of a process which the system has killed too: its status is below 0."""
    monkeypatch.setattr(run, "HALVES", (("sh", "-c", first), ("sh", "-c", second)))
    assert run.run_e2e() == status
    assert run._run("sh", "-c", second) == (status if first == "true" else 0)


def test_both_halves_name_files_that_are_there() -> None:
    for name in run.APART:
        assert (ROOT / "tests" / "e2e" / f"test_{name}.py").is_file(), name


def test_each_file_of_unit_tests_is_in_one_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    shares = run._share_unit_tests(["pytest"])
    assert [share[0] for share in shares] == ["pytest"] * 3
    files = (ROOT / "tests" / "unit").rglob("test_*.py")
    assert Counter(file for share in shares for file in share[1:]) == Counter(map(str, files))

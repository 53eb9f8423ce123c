"""What runs the tests takes no failure for a success."""

from collections.abc import Sequence

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
    monkeypatch.setattr(run, "PYTEST", ("sh", "-c"))
    halves: Sequence[Sequence[str]] = ((first,), (second,))
    monkeypatch.setattr(run, "HALVES", halves)
    assert run.run_e2e() == status
    assert run._run("sh", "-c", second) == (status if first == "true" else 0)


def test_both_halves_name_files_that_are_there() -> None:
    for name in run.APART:
        assert (ROOT / "tests" / "e2e" / f"test_{name}.py").is_file(), name

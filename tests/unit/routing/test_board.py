"""The board's history of openings: each once, for as long as is promised."""

import msgspec
import pytest

from proxy.core.ports import Objects
from proxy.routing.board import (
    BOARD,
    EXCHANGE,
    HISTORY,
    HISTORY_MS,
    READ_OPENINGS,
    REMEMBERED_MS,
    Board,
    BoardNews,
    BreakerOpening,
)
from proxy.routing.breaker import Transition
from tests.unit.doubles import ManualClock
from tests.unit.memory_objects import MemoryObjects

NOW = 1_700_000_000_000
FIRST = Transition(NOW, NOW + 10_000, 1, "failed")


def send(board: Board, now: int = NOW, **transitions: Transition) -> None:
    board.exchange(BoardNews(transitions), now)


def history(board: Board) -> list[BreakerOpening]:
    return list(board.openings())


def test_an_opening_is_kept_with_its_name_and_reason() -> None:
    board = Board()
    assert board.openings() == ()
    send(board, groq=FIRST)
    assert history(board) == [
        BreakerOpening(name="groq", at=NOW, open_until=NOW + 10_000, level=1, reason="failed")
    ]


@pytest.mark.parametrize("after", [5_000, 20_000])
def test_a_closing_is_not_kept(after: int) -> None:
    board = Board()
    send(board, groq=FIRST)
    before = board.openings()
    send(board, groq=Transition(NOW + after))
    assert board.openings() == before


def test_what_is_told_twice_is_kept_once() -> None:
    board = Board()
    send(board, groq=FIRST)
    send(board, groq=FIRST)
    send(board, NOW + REMEMBERED_MS)  # now only the history knows of it
    send(board, NOW + REMEMBERED_MS, groq=FIRST)
    assert len(history(board)) == 1


@pytest.mark.parametrize("until", [NOW + 9_900, NOW + 11_500])
def test_two_isolates_that_find_the_same_outage_are_one_opening(until: int) -> None:
    board = Board()
    other = Transition(NOW + 900, until, 1, "failed")
    send(board, groq=FIRST)
    send(board, groq=other)
    send(board, groq=FIRST)  # older than what is known
    kept = [(opening.at, opening.open_until) for opening in history(board)]
    assert kept == [(NOW, max(until, FIRST.open_until))]


@pytest.mark.parametrize("late", [10_000, 60_000])
def test_an_opening_after_the_open_time_is_another(late: int) -> None:
    board = Board()
    send(board, groq=FIRST)
    send(board, groq=Transition(NOW + late, NOW + late + 20_000, 2, "failed"))
    assert [opening.level for opening in history(board)] == [1, 2]


def test_an_opening_after_a_closing_is_another() -> None:
    board = Board()
    send(board, groq=FIRST)
    send(board, groq=Transition(NOW + 100))
    send(board, groq=Transition(NOW + 200, NOW + 10_200, 1, "failed"))
    assert [opening.at for opening in history(board)] == [NOW, NOW + 200]


def test_names_do_not_mix() -> None:
    board = Board()
    send(board, NOW, **{"groq": FIRST, "groq/llama": FIRST})
    assert {opening.name for opening in history(board)} == {"groq", "groq/llama"}


def test_the_history_outlives_the_object() -> None:
    board = Board()
    send(board, groq=FIRST)
    again = Board(board.state())
    assert history(again) == history(board)
    send(again, groq=FIRST)
    assert len(history(again)) == 1


def test_a_state_from_before_the_history_loads() -> None:
    old = msgspec.json.encode(BoardNews({"groq": FIRST}))
    board = Board(old)
    assert history(board) == []
    send(board, groq=Transition(NOW + 60_000, NOW + 80_000, 2, "failed"))
    assert [opening.level for opening in history(board)] == [2]


def test_the_history_is_bounded_in_number() -> None:
    board = Board()
    for number in range(HISTORY + 5):
        at = NOW + number * 60_000
        send(board, at, groq=Transition(at, at + 10_000, 1, "failed"))
    kept = history(board)
    assert len(kept) == HISTORY
    assert kept[0].at == NOW + 5 * 60_000


def test_the_history_is_bounded_in_time() -> None:
    board = Board()
    send(board, groq=FIRST)
    send(board, NOW + HISTORY_MS - 1)
    assert len(history(board)) == 1
    send(board, NOW + HISTORY_MS)
    assert history(board) == []


async def test_the_board_is_read_through_its_port() -> None:
    objects: Objects = MemoryObjects(ManualClock(NOW / 1000))
    await objects.call(EXCHANGE, BOARD, BoardNews({"groq": FIRST}))
    assert [opening.name for opening in await objects.call(READ_OPENINGS, BOARD, None)] == ["groq"]


def test_a_state_with_figures_that_are_no_longer_kept_loads() -> None:
    measures = {"models": {"p/m": [NOW, 1, 1, 1, 70, 1, 90, 9, 90]}, "heard": {"a": [3, NOW]}}
    board = Board(msgspec.json.encode({"transitions": {}, "measures": measures}))
    figures = board.exchange(BoardNews({}), NOW).measures.models["p/m"]
    assert (figures.first_ms, figures.total_ms) == (70, 90)

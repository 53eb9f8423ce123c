"""The board, an object by which isolates share what they know of the providers' health."""

import msgspec
from msgspec import Struct, structs

from proxy.core.rpc import NOTHING, Method, as_text
from proxy.routing.breaker import Transition
from proxy.routing.measures import Picture, SampleBatch, SharedPicture, StoredPicture

REMEMBERED_MS = 3_600_000
"""For how long the board passes a transition on."""
HISTORY = 500
"""Openings that the board keeps at most."""
HISTORY_MS = 35 * 86_400_000
"""For how long it keeps an opening: as long as the request figures of an hour are kept."""


class BoardNews(Struct, frozen=True):
    """What an isolate has seen since its last exchange."""

    transitions: dict[str, Transition]
    """The breakers that opened or closed, by `provider` and `provider/model`."""
    measures: SampleBatch | None = None


class BoardView(Struct, frozen=True):
    """What all isolates have seen."""

    transitions: dict[str, Transition]
    measures: SharedPicture


class BreakerOpening(Transition, frozen=True, kw_only=True):
    """A breaker that opened, as the history keeps it."""

    name: str
    """`provider` or `provider/model`."""


class _StoredBoard(Struct, frozen=True):
    transitions: dict[str, Transition]
    measures: StoredPicture | None = None
    openings: tuple[BreakerOpening, ...] = ()


_STORED_BOARD = msgspec.json.Decoder(_StoredBoard)

BOARD = "board"
"""The name of the only object."""
EXCHANGE = Method("PROVIDER_STATE", "exchange", as_text(BoardNews), as_text(BoardView))
READ_OPENINGS = Method(
    "PROVIDER_STATE", "read_openings", NOTHING, as_text(tuple[BreakerOpening, ...])
)


class Board:
    """The object's side. state: what `state()` gave. Raises ValueError where it is none."""

    def __init__(self, state: bytes | None = None) -> None:
        stored = _STORED_BOARD.decode(state) if state else _StoredBoard({})
        self._picture = Picture(stored.measures)
        self._transitions = stored.transitions
        self._openings = list(stored.openings)

    def exchange(self, news: BoardNews, now: int) -> BoardView:
        """Takes in what an isolate has seen, and gives what all have."""
        for name, transition in news.transitions.items():
            known = self._transitions.get(name)
            if known is None or transition.order > known.order:
                self._transitions[name] = transition
                self._remember(name, transition, known)
        self._transitions = {
            name: transition
            for name, transition in self._transitions.items()
            if now - transition.at < REMEMBERED_MS
        }
        self._openings = [o for o in self._openings if now - o.at < HISTORY_MS]
        return BoardView(self._transitions, self._picture.report(news.measures, now))

    def openings(self) -> tuple[BreakerOpening, ...]:
        """The breakers that opened, as of the last exchange, in the order in which they came."""
        return tuple(self._openings)

    def state(self) -> bytes:
        """What to store."""
        stored = _StoredBoard(self._transitions, self._picture.stored(), self.openings())
        return msgspec.json.encode(stored)

    def _remember(self, name: str, transition: Transition, known: Transition | None) -> None:
        """Keeps an opening, once. Isolates that find the same outage each open their own breaker:
        an opening while another lasts makes that one longer."""
        if not transition.open_until:
            return
        opening = BreakerOpening(**structs.asdict(transition), name=name)
        last = next((o for o in reversed(self._openings) if o.name == name), None)
        closed_between = known is not None and not known.open_until
        if last and opening.at < last.open_until and not closed_between:
            self._openings.remove(last)
            until = max(last.open_until, opening.open_until)
            opening = structs.replace(opening, at=last.at, open_until=until)
        self._openings = [*self._openings, opening][-HISTORY:]

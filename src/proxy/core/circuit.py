"""Keeps requests from waiting, one after another, for a Durable Object that hangs."""

from collections import OrderedDict
from collections.abc import Coroutine
from typing import TypeVar

from proxy.core.patience import within
from proxy.core.ports import Clock
from proxy.core.time import is_recent

T = TypeVar("T")

REST_SECONDS = 5.0
"""How long an object that hung is left alone before a call tries it again."""
NAMES = 1000
"""Names that are remembered; of more, the one that hung first is tried again early."""
SEVERAL = 3
"""Names that hang with no answer of any other between them: the whole namespace is left alone.
One overloaded object, while others answer, never takes the others with it."""


class Unreachable(Exception):
    """An object did not answer in time, or did not a moment ago and is left alone."""


class Circuit:
    """The calls of one isolate to one namespace of Durable Objects.

    A name is what hangs together: an object, or all objects of one user. Only silence counts: an
    object that answers with an error is there, and costs no time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hung: OrderedDict[str, float] = OrderedDict()
        """By name, when it last hung or its last trial began."""
        self._all_hung: float | None = None
        """The same of the namespace."""
        self._in_a_row: set[str] = set()
        """Names that hung since an object last answered."""

    async def call(self, name: str, work: Coroutine[object, None, T], seconds: float) -> T:
        """The answer of `work`, which has not begun yet. Raises Unreachable after `seconds`, or at
        once while the object is left alone, and whatever `work` raises."""
        if self._rests(self._hung.get(name)) or self._rests(self._all_hung):
            work.close()
            raise Unreachable("It did not answer a moment ago.")
        self._begin_trial(name)
        try:
            with within(seconds) as limit:
                answer = await work
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.is_over:
                self._note_silence(name)
                raise Unreachable(f"It did not answer within {seconds:g} s.") from None
            self._note_answer(name)
            raise
        self._note_answer(name)
        return answer

    def _rests(self, since: float | None) -> bool:
        return is_recent(since, REST_SECONDS, self._clock.now())

    def _begin_trial(self, name: str) -> None:
        """Keeps others away while this call tries an object that hung."""
        if name in self._hung:
            self._hung[name] = self._clock.now()
        if self._all_hung is not None:
            self._all_hung = self._clock.now()

    def _note_silence(self, name: str) -> None:
        now = self._clock.now()
        self._hung[name] = now
        self._hung.move_to_end(name)
        if len(self._hung) > NAMES:
            self._hung.popitem(last=False)
        if len(self._in_a_row) < SEVERAL:
            self._in_a_row.add(name)
        if len(self._in_a_row) >= SEVERAL:
            self._all_hung = now

    def _note_answer(self, name: str) -> None:
        self._hung.pop(name, None)
        self._all_hung = None
        self._in_a_row.clear()

"""The day by which models and prices are chosen."""

from datetime import date, timedelta

from proxy.core.ports import Clock
from proxy.providers.catalog import Catalog
from proxy.providers.coming import Coming, list_coming

DAY = 86_400
"""Seconds."""
NOON = DAY / 2
_FIRST = date(1970, 1, 1)


class Calendar:
    """The catalogue as of today, or of the day that the deployment is set to."""

    def __init__(self, catalog: Catalog, pinned: date | None, clock: Clock | None) -> None:
        """pinned: CATALOG_DATE; clock: None: the catalogue holds as it is."""
        self.whole = catalog
        self._clock = None if pinned else clock
        self._pinned = (pinned - _FIRST).days * DAY + NOON if pinned else None
        self._number = -1
        """Days since 1970 of `_today`."""
        self._today = catalog
        if self._pinned is not None:
            self._turn(self._pinned)
        self._coming: tuple[Catalog, dict[str, Coming]] | None = None
        """What changes after the day of that catalogue."""

    @property
    def now(self) -> float | None:
        """The moment by which prices are chosen, in seconds since 1970; None: none is."""
        if self._pinned is not None:
            return self._pinned
        return self._clock.now() if self._clock else None

    @property
    def coming(self) -> dict[str, Coming]:
        """What changes soon, by provider; nothing where no day is known."""
        today = self.today
        if self._number < 0:
            return {}
        if self._coming is None or self._coming[0] is not today:
            day = _FIRST + timedelta(self._number)
            self._coming = today, list_coming(self.whole.models, day)
        return self._coming[1]

    @property
    def today(self) -> Catalog:
        """The catalogue of the day in UTC, the same object until the day is over."""
        if self._clock and (now := self._clock.now()) // DAY != self._number:
            self._turn(now)
        return self._today

    def _turn(self, now: float) -> None:
        self._number = int(now // DAY)
        self._today = self.whole.on(_FIRST + timedelta(self._number))

"""What the providers do of late: how fast they answer and how often they fail.

An isolate notes its own samples (Measures) and tells them in batches to one object that has the
picture of all of them (Picture); with the answer it adopts that picture. Nothing here is waited
for by a request, and a new isolate starts from the shared picture.

Figures fade with time, not with samples: what was seen counts half after HALF_LIFE and for nothing
after a night, whether anybody has asked meanwhile or not. Moments and durations are whole
milliseconds.
"""

from heapq import nsmallest
from math import log2
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

HALF_LIFE = 300_000
"""Milliseconds after which a sample counts half."""
PRIOR = 0.95
"""The share of successes that is taken for granted before anything is seen: about what a provider
does on an ordinary day, so that a new one ranks neither above those that have proven themselves
nor below those that fail."""
PRIOR_WEIGHT = 4.0
"""How many samples the prior is worth. One success makes 96 % of it and not 100 %, one failure
76 %, four failures in a row 48 %: a single one condemns nobody, an outage shows within a few."""
FAINT = 0.001
"""A time that was measured by less than this many samples is no longer told: ten half-lives make
it of one."""
MODELS = 1_000
"""Models that are measured at most; beyond, the least sampled are forgotten. Callers may name
models that don't exist."""
LONGEST = 200
"""Characters of a name `provider/model` that is measured."""
ISOLATES = 1_000
"""Isolates whose last batch the picture remembers."""
FORGET = 3_600_000
"""Milliseconds after which the picture forgets who was not heard of."""
OVERTAKEN = 60_000
"""A picture that is older than the one at hand by less than this many milliseconds has come late;
by more, the object's clock was set back."""

Moment = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]


class Sample(Struct, frozen=True, kw_only=True):
    """One attempt at one model. Times are None where they were not measured; `tokens` are those
    of the output."""

    provider: str
    model: str
    ok: bool
    first_ms: int | None = None
    """To the first token."""
    total_ms: int | None = None
    tokens: int | None = None


class Measure(Struct, frozen=True):
    """How a model does at a moment. Times are means in milliseconds, None where there is none."""

    success: float = PRIOR
    """The probability that it answers, in (0, 1): the prior and what was seen."""
    first_ms: float | None = None
    """To the first token."""
    total_ms: float | None = None
    tokens_per_second: float | None = None
    """Of the whole time: thinking takes tokens before the first one is seen."""
    weight: float = 0.0
    """How many fresh samples all that was seen is worth."""
    first_weight: float = 0.0
    """The same of `first_ms`."""


class Figures(Struct, array_like=True):
    """Fading sums of one model's samples, as they are worth at the moment `at`.

    They depend only on the samples and their moments: not on the order in which these were added,
    on how they were merged (but for rounding), nor on who has read them when.
    """

    at: Moment = 0
    """The latest sample's moment."""
    count: Amount = 0.0
    ok: Amount = 0.0
    firsts: Amount = 0.0
    first_ms: Amount = 0.0
    totals: Amount = 0.0
    total_ms: Amount = 0.0
    tokens: Amount = 0.0
    tokens_ms: Amount = 0.0

    def add(self, sample: Sample, now: int) -> None:
        """Counts a sample. Times count of successes only, since failing fast is not being fast;
        one below 0 tells of the clock and counts as not measured."""
        one = Figures(at=now, count=1.0, ok=float(sample.ok))
        first, total = sample.first_ms, sample.total_ms
        if sample.ok and first is not None and first >= 0:
            one.firsts, one.first_ms = 1.0, float(first)
        if sample.ok and total is not None and total >= 0:
            one.totals, one.total_ms = 1.0, float(total)
            if sample.tokens is not None and sample.tokens >= 0:
                one.tokens, one.tokens_ms = float(sample.tokens), float(total)
        self.merge(one)

    def merge(self, other: "Figures") -> None:
        """Counts all that the other has counted."""
        at = max(self.at, other.at)
        mine, its = _left(at - self.at), _left(at - other.at)
        self.at = at
        self.count = self.count * mine + other.count * its
        self.ok = self.ok * mine + other.ok * its
        self.firsts = self.firsts * mine + other.firsts * its
        self.first_ms = self.first_ms * mine + other.first_ms * its
        self.totals = self.totals * mine + other.totals * its
        self.total_ms = self.total_ms * mine + other.total_ms * its
        self.tokens = self.tokens * mine + other.tokens * its
        self.tokens_ms = self.tokens_ms * mine + other.tokens_ms * its

    def read(self, now: int) -> Measure:
        """What it says at `now`; a moment before the latest sample counts as that one's."""
        left = _left(now - self.at)
        count, firsts = self.count * left, self.firsts * left
        timed = self.totals * left >= FAINT
        return Measure(
            success=(self.ok * left + PRIOR * PRIOR_WEIGHT) / (count + PRIOR_WEIGHT),
            first_ms=self.first_ms / self.firsts if firsts >= FAINT else None,
            total_ms=self.total_ms / self.totals if timed else None,
            tokens_per_second=(
                self.tokens * 1000 / self.tokens_ms
                if timed and self.tokens_ms * left >= FAINT
                else None
            ),
            weight=count,
            first_weight=firsts,
        )

    def rank(self) -> float:
        """Greater for a greater weight, whenever both are read."""
        return self.at / HALF_LIFE + log2(self.count) if self.count else 0.0


Table = dict[str, Figures]
"""By `provider/model`."""


class _Delta(Struct, frozen=True):
    isolate: str
    batch: int
    models: Table


class _Shown(Struct, frozen=True):
    """The picture. `batch` is the last one counted of the isolate that asked, 0 where none is."""

    at: Moment
    batch: int
    models: Table


class _Heard(Struct, frozen=True, array_like=True):
    batch: int
    at: Moment


class _State(Struct, frozen=True):
    models: Table
    heard: dict[str, _Heard]


_DELTA = msgspec.json.Decoder(_Delta)
_SHOWN = msgspec.json.Decoder(_Shown)
_STATE = msgspec.json.Decoder(_State)


class Measures:
    """What one isolate knows: the shared picture and its own samples that are not yet in it.

    isolate: an id that no other isolate ever has. Samples are told in batches, one after another:
    a batch goes out again until a picture has come that counts it, and later samples wait. So none
    is lost on the way, and the picture counts none twice.
    """

    def __init__(self, isolate: str) -> None:
        self._isolate = isolate
        self._batch = 0
        self._shown_at: int | None = None
        self._shared: Table = {}
        self._told: Table = {}
        """The batch that no picture is known to count."""
        self._untold: Table = {}

    def add(self, sample: Sample, now: int) -> None:
        """Counts a sample, which is known here at once."""
        name = f"{sample.provider}/{sample.model}"
        if len(name) <= LONGEST:
            self._untold.setdefault(name, Figures()).add(sample, now)
            _bound(self._untold)

    def of(self, provider: str, model: str, now: int) -> Measure:
        """How a model does; the prior where nothing is known of it."""
        name = f"{provider}/{model}"
        known = Figures()
        for table in (self._shared, self._told, self._untold):
            if figures := table.get(name):
                known.merge(figures)
        return known.read(now)

    def take_delta(self) -> bytes | None:
        """The batch to send to Picture.report; None where there is nothing to tell. It may be
        dropped: it is given again until `adopt` takes in a picture that counts it."""
        if not self._told:
            if not self._untold:
                return None
            self._told, self._untold = self._untold, {}
            self._batch += 1
        return msgspec.json.encode(_Delta(self._isolate, self._batch, self._told))

    def adopt(self, picture: bytes) -> None:
        """Takes over what Picture.report gave; one that was overtaken by a later one is ignored.
        Raises ValueError for what is no picture."""
        shown = _SHOWN.decode(picture)  # msgspec's errors are ValueErrors
        if self._shown_at is not None and 0 < self._shown_at - shown.at < OVERTAKEN:
            return
        self._shown_at, self._shared = shown.at, shown.models
        if shown.batch == self._batch:
            self._told = {}


class Picture:
    """The object's side: what all isolates have told.

    state: what `state()` gave. Losing it costs no more than the figures. Raises ValueError where
    it is none.
    """

    def __init__(self, state: bytes | None = None) -> None:
        stored = _STATE.decode(state) if state is not None else _State({}, {})
        self._models = stored.models
        self._heard = stored.heard

    def report(self, delta: bytes | None, now: int) -> bytes:
        """Counts a batch, once however often it comes, and gives the whole picture; None only
        asks for it. Raises ValueError, and counts nothing, for what is no batch."""
        told = _DELTA.decode(delta) if delta is not None else None
        self._forget(now)
        batch = 0
        if told:
            heard = self._heard.pop(told.isolate, None)
            batch = max(told.batch, heard.batch if heard else 0)
            self._heard[told.isolate] = _Heard(batch, now)
            if heard is None or told.batch > heard.batch:
                self._count(told.models, now)
        return msgspec.json.encode(_Shown(now, batch, self._models))

    def state(self) -> bytes:
        """What to store."""
        return msgspec.json.encode(_State(self._models, self._heard))

    def _count(self, models: Table, now: int) -> None:
        for name, figures in models.items():
            figures.at = min(figures.at, now)  # an isolate's clock ahead must not age the others
            if now - figures.at <= FORGET:
                self._models.setdefault(name, Figures()).merge(figures)
        _bound(self._models)

    def _forget(self, now: int) -> None:
        """Drops what is old. A clock that was set back takes all moments with it."""
        self._models = {n: f for n, f in self._models.items() if now - f.at <= FORGET}
        for figures in self._models.values():
            figures.at = min(figures.at, now)
        heard = [(who, last) for who, last in self._heard.items() if now - last.at <= FORGET]
        self._heard = dict(heard[1 - ISOLATES :])  # the latest stand last; one more may come


def _left(ms: int) -> float:
    """What is left of a sample's weight after so long."""
    return 2.0 ** (-ms / HALF_LIFE) if ms > 0 else 1.0


def _bound(table: Table) -> None:
    """Drops the least sampled, so that a flood of names that are asked for once passes by those
    that are in use."""
    if len(table) > MODELS:
        for name in nsmallest(len(table) - MODELS, table, key=lambda name: table[name].rank()):
            del table[name]

"""How fast the providers answer of late, and how often they fail.

An isolate keeps its own samples (Measures) and sends them in batches to one object that has the
picture of all isolates (Picture); the answer is that picture, which the isolate adopts. No request
waits for this, and a new isolate starts from the shared picture.

Figures fade with time, not with samples: a sample counts half after HALF_LIFE and for nothing after
a night, whether requests came meanwhile or not. Moments and durations are whole milliseconds.
"""

from heapq import nsmallest
from math import log2
from typing import Annotated

from msgspec import Meta, Struct

HALF_LIFE = 300_000
"""Milliseconds after which a sample counts half."""
PRIOR = 0.95
"""The share of successes that is taken for granted: that of an ordinary day, so that a new model
ranks neither above those that have proven themselves nor below those that fail."""
PRIOR_WEIGHT = 4.0
"""How many samples the prior is worth. One success makes 96 % of it and not 100 %, one failure
76 %, four failures in a row 48 %: a single one condemns no model, an outage shows within a few."""
FAINT = 0.001
"""A time that was measured by less than this many samples is left out: ten half-lives make it of
one."""
MODELS = 1_000
"""Models that are measured at most: callers may name any. The least sampled are forgotten."""
NOTICED = 0.01
"""The part of a measure by which samples change it before anybody ranks anew: a provider that has
slowed down or fails is noticed with the first of them, unless hundreds say otherwise."""
LONGEST = 200
"""Characters of a name `provider/model` that is measured."""
ISOLATES = 1_000
"""Isolates whose last batch the picture remembers."""
FORGET = 3_600_000
"""Milliseconds after which the picture forgets a model or an isolate without news."""
OVERTAKEN = 60_000
"""A picture that is older than the one at hand by less than this many milliseconds has come late;
by more, the object's clock was set back."""

Moment = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]


class AttemptSample(Struct, frozen=True, kw_only=True):
    """One attempt at one model. Times are None where they were not measured."""

    provider: str
    model: str
    ok: bool
    first_ms: int | None = None
    """To the first token."""
    total_ms: int | None = None


class Measure(Struct, frozen=True):
    """How a model does at a moment. Times are means in milliseconds, None where there is none."""

    success: float = PRIOR
    """The probability that it answers, in (0, 1): the prior and what was seen."""
    first_ms: float | None = None
    """To the first token."""
    total_ms: float | None = None
    weight: float = 0.0
    """How many fresh samples all that was seen is worth."""
    first_weight: float = 0.0
    """The same of `first_ms`."""


UNKNOWN = Measure()
"""Of a model of which nothing is known."""


class Figures(Struct, array_like=True):
    """Fading sums of a model's samples, as they are worth at the moment `at`, whatever the order of
    adding, merging and reading (but for rounding)."""

    at: Moment = 0
    """The latest sample's moment."""
    count: Amount = 0.0
    ok: Amount = 0.0
    firsts: Amount = 0.0
    first_ms: Amount = 0.0
    totals: Amount = 0.0
    total_ms: Amount = 0.0

    def add(self, sample: AttemptSample, now: int) -> None:
        """Counts a sample. Times count of successes only, since failing fast is not being fast; a
        time below 0 is the clock's doing and not measured."""
        seen = Figures(at=now, count=1.0, ok=float(sample.ok))
        first, total = sample.first_ms, sample.total_ms
        if sample.ok and first is not None and first >= 0:
            seen.firsts, seen.first_ms = 1.0, float(first)
        if sample.ok and total is not None and total >= 0:
            seen.totals, seen.total_ms = 1.0, float(total)
        self.merge(seen)

    def merge(self, other: "Figures") -> None:
        """Counts all that the other has counted."""
        mine = its = 1.0
        if other.at >= self.at:
            mine, self.at = _left(other.at - self.at), other.at
        else:
            its = _left(self.at - other.at)
        self.count = self.count * mine + other.count * its
        self.ok = self.ok * mine + other.ok * its
        self.firsts = self.firsts * mine + other.firsts * its
        self.first_ms = self.first_ms * mine + other.first_ms * its
        self.totals = self.totals * mine + other.totals * its
        self.total_ms = self.total_ms * mine + other.total_ms * its

    def read(self, now: int) -> Measure:
        """The measure at `now`; a moment before the latest sample counts as that one's."""
        left = _left(now - self.at)
        count, firsts = self.count * left, self.firsts * left
        return Measure(
            success=(self.ok * left + PRIOR * PRIOR_WEIGHT) / (count + PRIOR_WEIGHT),
            first_ms=self.first_ms / self.firsts if firsts >= FAINT else None,
            total_ms=self.total_ms / self.totals if self.totals * left >= FAINT else None,
            weight=count,
            first_weight=firsts,
        )

    def rank(self) -> float:
        """Greater for a greater weight, whenever both are read."""
        return self.at / HALF_LIFE + log2(self.count) if self.count else 0.0


Table = dict[str, Figures]
"""By `provider/model`."""


class SampleBatch(Struct, frozen=True):
    """What an isolate sends: the samples of its `batch`-th batch."""

    isolate: str
    batch: int
    models: Table


class SharedPicture(Struct, frozen=True):
    """The samples of all isolates. batch: the last one counted of the isolate that receives this, 0
    for none."""

    at: Moment
    batch: int
    models: Table


class LastBatch(Struct, frozen=True, array_like=True):
    """The last batch that came of an isolate."""

    batch: int
    at: Moment


class StoredPicture(Struct, frozen=True):
    """What a picture is stored as."""

    models: Table
    heard: dict[str, LastBatch]
    """By isolate."""


class Measures:
    """What one isolate knows: the shared picture and its own samples that are not yet in it.

    isolate: an id that no other isolate ever has. Samples go out in batches, one after another: a
    batch goes out again until a picture has come that counts it, and later samples wait. So none is
    lost on the way, and the picture counts none twice.
    """

    def __init__(self, isolate: str) -> None:
        self._isolate = isolate
        self._batch = 0
        self._shared_at: int | None = None
        self._shared: Table = {}
        self._sent: Table = {}
        """The batch that no picture is known to count."""
        self._unsent: Table = {}
        self._version = 0
        self._noticed: dict[tuple[str, str], tuple[float | None, ...]] = {}
        """The measures as the version has them, of those that have changed since the picture."""
        self._sampled: set[tuple[str, str]] = set()
        """Those of which there are samples since somebody asked for the version."""

    def add(self, sample: AttemptSample, now: int) -> None:
        """Counts a sample, which is known here at once."""
        name = f"{sample.provider}/{sample.model}"
        if len(name) <= LONGEST:
            self._unsent.setdefault(name, Figures()).add(sample, now)
            _bound(self._unsent)
            if len(self._sampled) < MODELS:
                self._sampled.add((sample.provider, sample.model))

    def find_version(self, now: int) -> int:
        """Counts up when a measure has changed by more than NOTICED, but for its fading."""
        while self._sampled:
            name = self._sampled.pop()
            figures, noticed = _weigh(self.of(*name, now)), self._noticed.get(name)
            if noticed is None or _differs(figures, noticed):
                self._version += 1
                self._noticed[name] = figures
        if len(self._noticed) > MODELS:
            self._noticed = {}
        return self._version

    def of(self, provider: str, model: str, now: int) -> Measure:
        """How a model does; the prior where nothing is known of it."""
        name, known = f"{provider}/{model}", None
        for table in (self._shared, self._sent, self._unsent):
            if figures := table.get(name):
                known = known or Figures()
                known.merge(figures)
        return known.read(now) if known else UNKNOWN  # as most of a tier are

    def take_batch(self) -> SampleBatch | None:
        """The batch for Picture.report; None where there is none. It may be lost on the way: it is
        given again until `adopt` takes in a picture that counts it."""
        if not self._sent:
            if not self._unsent:
                return None
            self._sent, self._unsent = self._unsent, {}
            self._batch += 1
        return SampleBatch(self._isolate, self._batch, self._sent)

    def adopt(self, picture: SharedPicture) -> None:
        """Takes over the picture that Picture.report gave, unless a later one came before it."""
        if self._shared_at is not None and 0 < self._shared_at - picture.at < OVERTAKEN:
            return
        self._shared_at, self._shared = picture.at, picture.models
        self._version, self._noticed = self._version + 1, {}
        if picture.batch == self._batch:
            self._sent = {}


class Picture:
    """The object's side: the samples of all isolates. Losing it costs no more than the figures."""

    def __init__(self, stored: StoredPicture | None = None) -> None:
        self._models: Table = stored.models if stored else {}
        self._heard: dict[str, LastBatch] = stored.heard if stored else {}

    def report(self, sent: SampleBatch | None, now: int) -> SharedPicture:
        """Counts a batch, once however often it comes, and gives the whole picture."""
        self._forget(now)
        batch = 0
        if sent:
            heard = self._heard.pop(sent.isolate, None)
            batch = max(sent.batch, heard.batch if heard else 0)
            self._heard[sent.isolate] = LastBatch(batch, now)
            if heard is None or sent.batch > heard.batch:
                self._count(sent.models, now)
        return SharedPicture(now, batch, self._models)

    def stored(self) -> StoredPicture:
        """What to store."""
        return StoredPicture(self._models, self._heard)

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
        heard = [(id_, last) for id_, last in self._heard.items() if now - last.at <= FORGET]
        self._heard = dict(heard[1 - ISOLATES :])  # the latest stand last; one more may come


def _weigh(measure: Measure) -> tuple[float | None, ...]:
    """What ranking goes by: the weights as far as they make a difference to the figures."""
    weights = (
        weight / (weight + PRIOR_WEIGHT) for weight in (measure.weight, measure.first_weight)
    )
    return (measure.success, measure.first_ms, measure.total_ms, *weights)


def _differs(news: tuple[float | None, ...], noticed: tuple[float | None, ...]) -> bool:
    return any(
        new is not old and (new is None or old is None or abs(new - old) > NOTICED * old)
        for new, old in zip(news, noticed, strict=True)
    )


def _left(ms: int) -> float:
    """What is left of a sample's weight after so long."""
    return 2.0 ** (-ms / HALF_LIFE) if ms > 0 else 1.0


def _bound(table: Table) -> None:
    """Drops the least sampled, so that a flood of names that come once passes by those in use."""
    if len(table) > MODELS:
        for name in nsmallest(len(table) - MODELS, table, key=lambda name: table[name].rank()):
            del table[name]

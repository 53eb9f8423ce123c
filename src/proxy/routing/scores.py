"""What a request's candidates are scored by, by each strategy: see strategy.py."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

from proxy.core.money import to_dollars
from proxy.providers.target import Target
from proxy.routing.measures import Measure

MEASURED = 3.0
"""Fresh samples from which on a candidate counts as measured, and weighs as much as its peers."""
CLOSE = 0.05
"""The part of the shortest time (fastest), or of the scale (balanced), by which a candidate may
fall behind the best and still be as good."""
PRICED = ("cheapest", "balanced")
"""The strategies that look at what a request costs."""


class Candidate(Struct, frozen=True):
    """A model that may answer, with all that is known of it."""

    target: Target
    measure: Measure
    cost_nano: int | None
    """What this request is expected to cost there, in nano-dollars; None: no price is known."""

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.target.spec.name}/{self.target.model.id}"


class Preferences(Struct, frozen=True):
    """What a request's candidates are ordered by. Weights and shares are finite and at least 0, of
    any sum; what is not named has 0."""

    strategy: str
    weights: Mapping[str, float] = {}
    """Of `cost`, `latency` and `success`, for balanced."""
    shares: Mapping[str, float] = {}
    """For weighted, by provider or `provider/model`; that of a provider goes to its first candidate
    without a share of its own."""
    sticky: str | None = None
    """The user or conversation whose requests shall meet the same candidate (weighted); None: a
    draw each time."""
    conversation: str | None = None
    """What decides among those that are no worse than the best; None: the given order does."""
    home: str = ""
    """The provider where the conversation was last, which goes first of those; empty: none is
    known."""
    first: str = ""
    """The provider that goes first whatever it scores; empty: none does."""


def score_all(candidates: Sequence[Candidate], preferences: Preferences) -> list[float | None]:
    """The candidates' scores, in the given order."""
    match preferences.strategy:
        case "priority":
            return [None] * len(candidates)
        case "cheapest":
            return [to_dollars(candidate.cost_nano) for candidate in candidates]
        case "fastest":
            return [*_estimate_first_ms(candidates)]
        case "reliable":
            return [candidate.measure.success for candidate in candidates]
        case "balanced":
            return [*_score_balanced(candidates, preferences.weights)]
        case "weighted":
            return _score_shares(candidates, preferences.shares)
        case unknown:
            raise ValueError(f"there is no strategy {unknown!r}")


def _estimate_first_ms(candidates: Sequence[Candidate]) -> list[float] | list[None]:
    """Times to the first token, drawn to the median of all samples, the more so the fewer there
    are: a candidate that was not measured has the median and neither wins nor loses by it. Where
    none has streamed, the times of whole answers; None for all where none was measured."""
    measures = [candidate.measure for candidate in candidates]
    times = [(m.first_ms, m.first_weight) for m in measures]
    if all(time is None for time, _ in times):
        times = [(m.total_ms, m.weight) for m in measures]
    seen = [(time, weight) for time, weight in times if time is not None]
    if not seen:
        return [None] * len(measures)
    median = _find_median(seen)
    return [
        median if time is None else (weight * time + MEASURED * median) / (weight + MEASURED)
        for time, weight in times
    ]


def _find_median(weighted: list[tuple[float, float]]) -> float:
    """The median of values that count by their weights."""
    ordered = sorted(weighted)
    half = sum(weight for _, weight in ordered) / 2
    reached = accumulate(weight for _, weight in ordered)
    pairs = zip(ordered, reached, strict=True)
    return next(value for (value, _), weight in pairs if weight >= half)


def _score_balanced(candidates: Sequence[Candidate], weights: Mapping[str, float]) -> list[float]:
    """The weighted means of how far each lags behind the best of them in cost, time to the first
    token and success, each from 0 (the best) to 1 (the worst)."""
    lags = {
        "cost": _measure_lags([to_dollars(candidate.cost_nano) for candidate in candidates]),
        "latency": _measure_lags(_estimate_first_ms(candidates)),
        "success": _measure_lags(
            [candidate.measure.success for candidate in candidates], higher=True
        ),
    }
    total = sum(weights.get(part, 0.0) for part in lags)
    if total <= 0:
        return [0.0] * len(candidates)
    cost, latency, success = (weights.get(part, 0.0) / total for part in lags)
    return [cost * a + latency * b + success * c for a, b, c in zip(*lags.values(), strict=True)]


def _measure_lags(values: Sequence[float | None], *, higher: bool = False) -> list[float]:
    """The values from 0 for the best to 1 for the worst; also 1 for None, where others are known.

    A spread under CLOSE of the best counts for less: 505 ms is not the worst case of 500 ms.
    higher: whether that is better.
    """
    known = [value for value in values if value is not None]
    if not known:
        return [0.0] * len(values)
    best = max(known) if higher else min(known)
    worst = min(known) if higher else max(known)
    span = max(CLOSE * best, abs(worst - best)) or 1.0
    return [1.0 if value is None else abs(value - best) / span for value in values]


def find_stakes(
    candidates: Sequence[Candidate], shares: Mapping[str, float]
) -> list[tuple[str, float] | None]:
    """Each candidate's share and the name that it stands under in `shares`, or that of its alias's
    choice; None: it has none."""
    taken: set[str] = set()
    stakes: list[tuple[str, float] | None] = []
    for candidate in candidates:
        choice = candidate.target.choice
        name = candidate.name if candidate.name in shares else candidate.target.spec.name
        share = shares.get(name, 0.0)
        if choice:
            name, share = choice.id, choice.weight or 0.0
        stakes.append((name, share) if share > 0 and name not in taken else None)
        taken.add(name)
    return stakes


def _score_shares(
    candidates: Sequence[Candidate], shares: Mapping[str, float]
) -> list[float | None]:
    """The shares of all that the candidates have of them; None for no share."""
    stakes = find_stakes(candidates, shares)
    total = sum(stake[1] for stake in stakes if stake)
    return [stake[1] / total if stake else None for stake in stakes]

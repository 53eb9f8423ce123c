"""In which order a request's candidates are tried, by each strategy.

priority: as given (the chain). cheapest: by the expected cost of this very request. fastest: by
the time to the first token. reliable: by the probability of success. balanced: by a weighted sum
of all three. weighted: by shares, as for a canary. Ties keep the given order, and so do measured
differences too small to mean anything: a provider's prompt cache is worth more than they are. For
the same reason a conversation, where there is one, decides among those, and draws by the shares.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from msgspec import Struct

from proxy.core.money import to_dollars
from proxy.providers.target import Target
from proxy.routing.measures import Measure
from proxy.routing.rendezvous import draw, place

EXPLORE = 0.02
"""The probability that a candidate that is hardly measured is tried first."""
MEASURED = 3.0
"""Fresh samples from which on a candidate counts as measured, and weighs as much as its peers."""
SEEN = 0.5
"""Fresh samples below which nothing was seen, as far as the explanation goes."""
CLOSE = 0.05
"""The part of the shortest time (fastest), or of the scale (balanced), by which a candidate may
fall behind the best and still be as good."""
CLOSE_SUCCESS = 0.02
"""The same for reliable, as a difference of probabilities: 5 % would take failing six times in a
hundred for failing once."""
HOME_TIMES = 4
"""So many times as far may the home of a conversation fall behind: measures waver more than a
prompt cache is worth."""

EXPLORING = ("fastest", "reliable", "balanced")
HIGHER_FIRST = ("reliable", "weighted")


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


class Scored(Struct, frozen=True):
    """Why a candidate stands where it does."""

    provider: str
    model: str
    score: float | None
    """What it was ordered by. The lower the better: dollars (cheapest), milliseconds (fastest),
    0 to 1 (balanced). The higher the better: probability (reliable), share of all (weighted).
    None: it has none, as always for priority, and comes after those that have."""
    parts: dict[str, float | None]
    """What is known of it: `cost_usd`, `first_ms` as measured, `success`."""
    note: str | None = None
    """Separated by commas: explored, drawn, home, close to the best, no price, not measured, no
    share."""


class Ranked(NamedTuple):
    """A candidate in its place."""

    candidate: Candidate
    score: float | None
    notes: Sequence[str]


class Order(Struct, frozen=True):
    """The choice: the candidates, best first."""

    ranked: tuple[Ranked, ...]
    strategy: str
    explored: bool
    """Whether the first is there to be measured and not for its score."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where to try them."""
        return tuple(ranked.candidate.target for ranked in self.ranked)

    @property
    def scores(self) -> tuple[Scored, ...]:
        """Why each stands where it does."""
        return tuple(_describe(*ranked, self.strategy) for ranked in self.ranked)


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


def order(
    candidates: Sequence[Candidate], preferences: Preferences, random: Callable[[], float]
) -> Order:
    """Orders the candidates; all of them stay. random: evenly from [0, 1). Raises ValueError for a
    strategy that there is not."""
    strategy = preferences.strategy
    scores = _score(candidates, preferences)
    best = _find_best(scores, strategy)
    close = _find_close(candidates, scores, best, preferences)
    ranked = sorted(
        range(len(candidates)), key=lambda i: _sort_key(scores[i], close.get(i), strategy)
    )
    notes = {i: ["close to the best"] for i in close if scores[i] != best}
    first, why = _choose_first(candidates, ranked, preferences, random)
    if first is not None:
        ranked.remove(first)
        ranked.insert(0, first)
        notes[first] = [why]
    return Order(
        ranked=tuple(Ranked(candidates[i], scores[i], notes.get(i, ())) for i in ranked),
        strategy=strategy,
        explored=why == "explored",
    )


def _choose_first(
    candidates: Sequence[Candidate],
    ranked: Sequence[int],
    preferences: Preferences,
    random: Callable[[], float],
) -> tuple[int | None, str]:
    """The candidate that goes first whatever its score, if any does, and why."""
    if preferences.first:
        for i in ranked:
            if candidates[i].target.spec.name == preferences.first:
                return i, "home"
    if preferences.strategy == "weighted":
        stakes = _find_stakes(candidates, preferences.shares)
        drawn = draw(stakes, preferences.sticky, random)
        return drawn, "" if drawn is None else "drawn"
    if preferences.strategy in EXPLORING and not preferences.home:
        unmeasured = _pick_unmeasured(candidates, ranked, random)
        return unmeasured, "" if unmeasured is None else "explored"
    return None, ""


def _score(candidates: Sequence[Candidate], preferences: Preferences) -> list[float | None]:
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


def _sort_key(score: float | None, favour: float | None, strategy: str) -> tuple[int, float]:
    """What the candidates are sorted by. favour: of those that count as the best, None: of none."""
    if score is None:
        return 2, 0.0
    if favour is not None:
        return 0, favour
    return 1, -score if strategy in HIGHER_FIRST else score


def _find_best(scores: Sequence[float | None], strategy: str) -> float | None:
    known = [score for score in scores if score is not None]
    return (max if strategy in HIGHER_FIRST else min)(known, default=None)


def _find_close(
    candidates: Sequence[Candidate],
    scores: Sequence[float | None],
    best: float | None,
    preferences: Preferences,
) -> dict[int, float]:
    """Those that count as no worse than the best, the least first: by the conversation where there
    is one. Scores that come from measuring may differ."""
    strategy, conversation = preferences.strategy, preferences.conversation
    if best is None or strategy not in (*EXPLORING, "cheapest"):
        return {}
    margin = {"fastest": CLOSE * best, "reliable": CLOSE_SUCCESS, "cheapest": 0.0}.get(
        strategy, CLOSE
    )
    close: dict[int, float] = {}
    for i, (candidate, score) in enumerate(zip(candidates, scores, strict=True)):
        name = candidate.target.spec.name
        is_home = preferences.home == name
        reach = HOME_TIMES * margin if is_home else margin
        if score is None or not (score == best or abs(score - best) < reach):
            continue
        close[i] = 0.0
        if conversation is not None:
            close[i] = -1.0 if is_home else place(name, conversation)
    return close


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
    return [
        sum(weights.get(part, 0.0) / total * lag[i] for part, lag in lags.items())
        for i in range(len(candidates))
    ]


def _measure_lags(values: Sequence[float | None], *, higher: bool = False) -> list[float]:
    """The values from 0 for the best to 1 for the worst; also 1 for None, where others are known.

    A spread under CLOSE of the best counts for less: 505 ms is not the worst case of 500 ms.
    higher: whether that is better.
    """
    known = [value for value in values if value is not None]
    if not known:
        return [0.0] * len(values)
    best = max(known) if higher else min(known)
    span = max(CLOSE * best, *(abs(value - best) for value in known))
    return [1.0 if value is None else abs(value - best) / (span or 1.0) for value in values]


def _find_stakes(
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
    stakes = _find_stakes(candidates, shares)
    total = sum(stake[1] for stake in stakes if stake)
    return [stake[1] / total if stake else None for stake in stakes]


def _pick_unmeasured(
    candidates: Sequence[Candidate], ranked: Sequence[int], random: Callable[[], float]
) -> int | None:
    """A candidate to be measured, if it is time for that; the first is measured anyway."""
    unmeasured = [i for i in ranked[1:] if candidates[i].measure.weight < MEASURED]
    if not unmeasured or random() >= EXPLORE:
        return None
    return unmeasured[int(random() * len(unmeasured))]


def _describe(
    candidate: Candidate, score: float | None, notes: Iterable[str], strategy: str
) -> Scored:
    """The candidate's line of the explanation."""
    measure, cost = candidate.measure, to_dollars(candidate.cost_nano)
    samples = measure.weight if strategy == "reliable" else measure.first_weight
    lacking = {
        "no price": cost is None and strategy in ("cheapest", "balanced"),
        "not measured": samples < SEEN and strategy in EXPLORING,
        "no share": score is None and strategy == "weighted",
    }
    parts = [*notes, *(note for note, applies in lacking.items() if applies)]
    return Scored(
        provider=candidate.target.spec.name,
        model=candidate.target.model.id,
        score=score,
        parts={"cost_usd": cost, "first_ms": measure.first_ms, "success": measure.success},
        note=", ".join(parts) or None,
    )

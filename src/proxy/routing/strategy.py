"""In which order a request's candidates are tried, by each strategy.

priority: as given (the chain). cheapest: by the expected cost of this very request. fastest: by
the time to the first token. reliable: by the probability of success. balanced: by a weighted sum
of all three. weighted: by shares, as for a canary. Ties keep the given order, and so do measured
differences too small to mean anything: a provider's prompt cache is worth more than they are. For
the same reason a conversation, where there is one, decides among those, and draws by the shares.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from proxy.core.money import to_dollars
from proxy.providers.target import Target
from proxy.routing.rendezvous import draw, place
from proxy.routing.scores import (
    CLOSE,
    MEASURED,
    PRICED,
    Candidate,
    Preferences,
    find_stakes,
    score_all,
)

EXPLORE = 0.02
"""The probability that a candidate that is hardly measured is tried first."""
SEEN = 0.5
"""Fresh samples below which nothing was seen, as far as the explanation goes."""
CLOSE_SUCCESS = 0.02
"""The same for reliable, as a difference of probabilities: 5 % would take failing six times in a
hundred for failing once."""
HOME_TIMES = 4
"""So many times as far may the home of a conversation fall behind: measures waver more than a
prompt cache is worth."""

EXPLORING = ("fastest", "reliable", "balanced")
HIGHER_FIRST = ("reliable", "weighted")


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
    note: str
    """Empty: its score says all."""


class Standings(Struct, frozen=True):
    """How candidates compare before a conversation, a draw or an exploration has a say: as long as
    nothing changes of them, the same for all requests alike. Candidates are meant by their places
    in `candidates`."""

    candidates: Sequence[Candidate]
    """In the given order."""
    strategy: str
    scores: Sequence[float | None]
    best: float | None
    """The best score; None: there is none."""
    ranked: list[int]
    """All, best first."""
    close: int
    """How many of the first of these are as good as the best."""
    near: list[int]
    """Those that are as good where they are a conversation's home."""
    unmeasured: list[int]
    """Those with few measurements."""
    stakes: Sequence[tuple[str, float] | None]
    """For weighted: the name and the share of each; None: it has none."""

    def name(self, i: int) -> str:
        """A candidate's provider."""
        return self.candidates[i].target.spec.name


class Order(Struct, frozen=True):
    """The choice. What says why is put together where somebody asks: most requests don't."""

    standings: Standings
    places: list[int]
    """All candidates, best first."""
    close: list[int]
    """Those that count as the best."""
    why: str
    """Why the first is there, if not for its score: explored, drawn or home."""

    @property
    def strategy(self) -> str:
        """What it was ordered by."""
        return self.standings.strategy

    @property
    def explored(self) -> bool:
        """Whether the first is there to be measured and not for its score."""
        return self.why == "explored"

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where to try them, best first."""
        candidates = self.standings.candidates
        return tuple([candidates[i].target for i in self.places])

    @property
    def ranked(self) -> Iterator[Ranked]:
        """Each in its place, best first."""
        standings = self.standings
        for i in self.places:
            score, note = standings.scores[i], ""
            if self.why and i == self.places[0]:
                note = self.why
            elif i in self.close and score != standings.best:
                note = "close to the best"
            yield Ranked(standings.candidates[i], score, note)

    @property
    def scores(self) -> tuple[Scored, ...]:
        """Why each stands where it does."""
        return tuple(_describe(*ranked, self.strategy) for ranked in self.ranked)


def compare(candidates: Sequence[Candidate], preferences: Preferences) -> Standings:
    """Compares candidates by strategy, weights and shares. Raises ValueError for a strategy that
    there is not."""
    strategy = preferences.strategy
    scores = score_all(candidates, preferences)
    sign = -1 if strategy in HIGHER_FIRST else 1
    best = min((sign * each for each in scores if each is not None), default=None)
    best = None if best is None else sign * best
    close, near = _find_close(scores, best, strategy)
    keys = [(2, 0.0) if each is None else (1, sign * each) for each in scores]
    for i in close:
        keys[i] = 0, 0.0
    is_weighted = strategy == "weighted"
    return Standings(
        candidates,
        strategy,
        scores,
        best,
        sorted(range(len(keys)), key=keys.__getitem__),
        len(close),
        near,
        [i for i, each in enumerate(candidates) if each.measure.weight < MEASURED],
        find_stakes(candidates, preferences.shares) if is_weighted else (),
    )


def order(standings: Standings, preferences: Preferences, random: Callable[[], float]) -> Order:
    """Orders the candidates; all of them stay. preferences: those that the standings are of, and
    the request's own; random: evenly from [0, 1)."""
    close, ranked = _settle_close(standings, preferences)
    first, why = _choose_first(standings, ranked, preferences, random)
    if first is not None:
        ranked = [first, *ranked]
        del ranked[ranked.index(first, 1)]
    return Order(standings, ranked, close, why)


def _settle_close(standings: Standings, preferences: Preferences) -> tuple[list[int], list[int]]:
    """Those that count as no worse than the best, in the order that the conversation gives them
    where there is one, and all."""
    close, conversation = standings.ranked[: standings.close], preferences.conversation
    if conversation is None:
        return close, standings.ranked
    homes = [i for i in standings.near if standings.name(i) == preferences.home]
    others = [i for i in close if i not in homes]
    if len(others) > 1:
        others.sort(key=lambda i: place(standings.name(i), conversation))
    close, rest = [*homes, *others], standings.ranked[standings.close :]
    return close, [*close, *(i for i in rest if i not in homes)] if homes else [*close, *rest]


def _choose_first(
    standings: Standings,
    ranked: Sequence[int],
    preferences: Preferences,
    random: Callable[[], float],
) -> tuple[int | None, str]:
    """The candidate that goes first whatever its score, if any does, and why."""
    if preferences.first:
        for i in ranked:
            if standings.name(i) == preferences.first:
                return i, "home"
    if standings.strategy == "weighted":
        drawn = draw(standings.stakes, preferences.sticky, random)
        return drawn, "" if drawn is None else "drawn"
    if standings.strategy in EXPLORING and not preferences.home:
        unmeasured = _pick_unmeasured(standings, ranked, random)
        return unmeasured, "" if unmeasured is None else "explored"
    return None, ""


def _find_close(
    scores: Sequence[float | None], best: float | None, strategy: str
) -> tuple[list[int], list[int]]:
    """Those that count as no worse than the best, and those that do as the home of a conversation.
    Scores that come from measuring may differ."""
    if best is None or strategy not in (*EXPLORING, "cheapest"):
        return [], []
    margins = {"fastest": CLOSE * best, "reliable": CLOSE_SUCCESS, "cheapest": 0.0}
    margin = margins.get(strategy, CLOSE)
    behind = [(abs(each - best), i) for i, each in enumerate(scores) if each is not None]
    near = [(gap, i) for gap, i in behind if not gap or gap < HOME_TIMES * margin]
    return [i for gap, i in near if not gap or gap < margin], [i for _, i in near]


def _pick_unmeasured(
    standings: Standings, ranked: Sequence[int], random: Callable[[], float]
) -> int | None:
    """A candidate to be measured, if it is time for that; the first is measured anyway."""
    if standings.unmeasured in ([], ranked[:1]) or random() >= EXPLORE:
        return None
    unmeasured = [i for i in ranked[1:] if i in standings.unmeasured]
    return unmeasured[int(random() * len(unmeasured))]


def _describe(candidate: Candidate, score: float | None, note: str, strategy: str) -> Scored:
    """The candidate's line of the explanation."""
    measure, cost = candidate.measure, to_dollars(candidate.cost_nano)
    samples = measure.weight if strategy == "reliable" else measure.first_weight
    lacking = {
        "no price": cost is None and strategy in PRICED,
        "not measured": samples < SEEN and strategy in EXPLORING,
        "no share": score is None and strategy == "weighted",
    }
    notes = [note, *(why for why, applies in lacking.items() if applies)]
    return Scored(
        provider=candidate.target.spec.name,
        model=candidate.target.model.id,
        score=score,
        parts={"cost_usd": cost, "first_ms": measure.first_ms, "success": measure.success},
        note=", ".join(filter(None, notes)) or None,
    )

"""Strategies on whatever candidates and preferences there are."""

from itertools import pairwise
from math import isfinite
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.measures import Measure
from proxy.routing.scores import Candidate, Preferences
from tests.unit.routing.making_strategy import STRATEGIES, candidate, order, ordered

# Whatever comes


finite = st.floats(0, 1e9)
measures = st.builds(
    Measure,
    success=st.floats(0, 1),
    first_ms=st.none() | finite,
    weight=finite,
    first_weight=finite,
)
candidates = st.lists(
    st.builds(
        lambda name, cost, measure: Candidate(candidate(name).target, measure, cost),
        st.sampled_from(["a/x", "a/y", "b/x", "c/x", "d/x", "e/x"]),
        st.none() | st.integers(0, 10**12),
        measures,
    ),
    max_size=6,
    unique_by=lambda made: made.name,
)
preferences_ = st.builds(
    Preferences,
    strategy=st.sampled_from(STRATEGIES),
    weights=st.dictionaries(st.sampled_from(["cost", "latency", "success"]), finite),
    shares=st.dictionaries(st.sampled_from(["a", "a/x", "b", "c/x", "z"]), finite),
    sticky=st.none() | st.text(st.characters(), max_size=5),
)


@given(candidates, preferences_, st.integers())
def test_all_stay_and_the_same_draws_give_the_same_order(
    given_candidates: list[Candidate], preferences: Preferences, seed: int
) -> None:
    result = order(given_candidates, preferences, Random(seed).random)
    assert sorted(map(id, result.targets)) == sorted(id(made.target) for made in given_candidates)
    assert [(t.spec.name, t.model.id) for t in result.targets] == [
        (scored.provider, scored.model) for scored in result.scores
    ]
    assert result == order(given_candidates, preferences, Random(seed).random)


@given(candidates, preferences_, st.sampled_from([0.0, 0.01, 0.5, 1 - 2**-53]))
def test_every_number_is_one(
    given_candidates: list[Candidate], preferences: Preferences, chance: float
) -> None:
    for scored in order(given_candidates, preferences, lambda: chance).scores:
        values = [scored.score, *scored.parts.values()]
        assert all(value is None or isfinite(value) for value in values)


@given(candidates, preferences_, st.sampled_from([0.0, 0.01, 0.5]))
def test_the_scores_explain_the_order(
    given_candidates: list[Candidate], preferences: Preferences, chance: float
) -> None:
    """Sorted by score, those without one last, but for what a note says."""
    result = order(given_candidates, preferences, lambda: chance)
    scores = result.scores
    plain = [s for s in scores if not (s.note or "").startswith(("explored", "drawn"))]
    known = [s for s in plain if s.score is not None]
    assert known == plain[: len(known)]
    sign = -1 if preferences.strategy in ("reliable", "weighted") else 1
    best = min((sign * (s.score or 0.0) for s in known), default=0.0)
    by = [best if (s.note or "").startswith("close") else sign * (s.score or 0.0) for s in known]
    assert all(one <= other for one, other in pairwise(by))
    assert result.explored == any((s.note or "").startswith("explored") for s in scores)
    place = {id(made.target): i for i, made in enumerate(given_candidates)}
    targets = dict(zip(map(id, scores), result.targets, strict=True))
    for (one, s), (other, t) in pairwise(zip(by, known, strict=True)):
        if one == other:
            assert place[id(targets[id(s)])] < place[id(targets[id(t)])]


@given(candidates, st.data())
def test_a_better_measure_never_ranks_lower(
    given_candidates: list[Candidate], data: st.DataObject
) -> None:
    if not given_candidates:
        return
    i = data.draw(st.integers(0, len(given_candidates) - 1))
    old = given_candidates[i]
    better = Measure(success=1.0, weight=old.measure.weight)
    changed = [*given_candidates[:i], Candidate(old.target, better, 0), *given_candidates[i + 1 :]]
    for strategy in ("cheapest", "reliable"):
        before = ordered(given_candidates, strategy).targets.index(old.target)
        assert ordered(changed, strategy).targets.index(old.target) <= before

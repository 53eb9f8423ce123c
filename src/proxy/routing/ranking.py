"""Ranks a request's candidates by the strategy that it names, or the deployment's, and keeps its
conversation where it was.

A conversation never goes against what its request says of the order, past an open breaker or out of
the models that mean the same to the caller.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice, repeat
from typing import NamedTuple

from msgspec import Struct, structs

from proxy.core.chat import Routing, Usage
from proxy.core.choices import Reason, Weighed
from proxy.core.permit import Permit
from proxy.core.ports import Random
from proxy.core.settings import RoutingSettings
from proxy.providers.target import Target
from proxy.routing.affinity import Conversation, Homes
from proxy.routing.calendar import Calendar
from proxy.routing.plan import Plan
from proxy.routing.scores import PRICED, Candidate, Preferences
from proxy.routing.strategy import EXPLORING, Order, Ranked, Standings, compare, order
from proxy.routing.watch import Watch

WEIGHED = 4
"""Candidates that a reason names at most."""
KEPT_MS = 1000
"""For how long standings are kept at most: measures fade by a quarter of a percent meanwhile."""
MOST_KEPT = 100
EXACT_BITS = 4
"""Of the size of a prompt, for which costs are compared: it differs by at most a sixteenth."""


class Ranking(Struct, frozen=True):
    """The candidates of a request in their order."""

    targets: tuple[Target, ...]
    explain: Callable[[], list[Order]]
    """Says why they stand so, group by group."""
    strategy: str
    conversation: Conversation | None
    """The conversation that had a say; None: none had."""
    first: str = ""
    """The provider that the conversation wants first; empty: none."""
    orders: Sequence[Order] = ()
    """That of each group, where they have scores."""

    def find_reason(self, target: Target) -> Reason | None:
        """Why a target was chosen; None where its request alone says so, or the chain."""
        name = target.name
        choice = target.choice.id if target.choice else ""
        is_home = target.spec.name == self.first
        if self.strategy == "priority":
            return Reason(choice=choice, is_home=is_home) if choice or is_home else None
        weighed: tuple[Weighed, ...] = ()
        for group in self.orders:
            found = (each.candidate.target.name == name for each in group.ranked)
            if len(group.places) > 1 and any(found):
                weighed = tuple(map(_weigh, islice(group.ranked, WEIGHED)))
        return Reason(strategy=self.strategy, choice=choice, is_home=is_home, weighed=weighed)


def _weigh(ranked: Ranked) -> Weighed:
    candidate, score, note = ranked
    return Weighed(
        provider=candidate.target.spec.name,
        model=candidate.target.model.id,
        score=None if score is None else round(score, 9),
        note=note,
    )


class _Kept(NamedTuple):
    """How the models of a group compare."""

    targets: tuple[Target, ...]
    """By whose id they are found: while they are kept, no others have it."""
    stamp: tuple[int, int]
    """What they hold for: the second, and the version of the measures."""
    standings: Standings


class Ranker:
    """Ranks by what the deployment prefers and what is known of the candidates."""

    def __init__(
        self, settings: RoutingSettings, watch: Watch, random: Random, calendar: Calendar
    ) -> None:
        self._settings = settings
        self._watch = watch
        self._random = random
        self._calendar = calendar
        self._homes = Homes()
        self._kept: dict[tuple[int, str, Usage], _Kept] = {}

    def rank(
        self,
        plan: Plan,
        routing: Routing,
        user: str | None,
        permit: Permit,
        converse: Callable[[], Conversation | None] = lambda: None,
    ) -> Ranking:
        """The candidates, best first. converse: gives the conversation that the request belongs to,
        where there is a choice."""
        default = "priority" if routing.order else self._settings.strategy
        strategy = routing.strategy or default
        conversation = converse() if self._may_steer(plan, routing) else None
        if strategy == "priority":  # needs no scores, unless an operator wants them explained
            first = self._find_first(plan, routing, strategy, conversation) if conversation else ""
            targets = plan.in_order(partial(_put_first, first)) if first else plan.targets
            chain = partial(self._order, Preferences(strategy, first=first), permit)
            return Ranking(
                targets,
                lambda: self._price((chain(group.targets) for group in plan.groups), permit),
                strategy,
                conversation,
                first,
            )
        orders: list[Order] = []
        whose = user or permit.user
        preferences = self._prefer(plan, routing, strategy, whose, conversation)
        order_group = partial(self._order, preferences, permit)

        def best_first(targets: tuple[Target, ...]) -> tuple[Target, ...]:
            orders.append(order_group(targets))
            return orders[-1].targets

        targets = plan.in_order(best_first)
        first = preferences.first or preferences.home
        explain = partial(self._price, orders, permit)
        return Ranking(targets, explain, strategy, conversation, first, orders)

    def settle(self, ranking: Ranking, routing: Routing, provider: str) -> None:
        """Makes the provider that has answered the conversation's home, where its next turn would
        not go there anyway."""
        conversation = ranking.conversation
        if conversation is None:
            return
        is_first = provider == ranking.targets[0].spec.name
        if is_first and ranking.strategy not in EXPLORING and not self._homes:
            return
        self._homes.keep(conversation, routing.model, provider, self._watch.now)

    def _may_steer(self, plan: Plan, routing: Routing) -> bool:
        """Whether a conversation may have a say in the order."""
        return (
            plan.has_choice
            and self._settings.session_affinity
            and not routing.order
            and routing.strategy != "priority"
        )

    def _prefer(
        self,
        plan: Plan,
        routing: Routing,
        strategy: str,
        user: str,
        conversation: Conversation | None,
    ) -> Preferences:
        """What the candidates are ordered by, where they have scores."""
        settings = self._settings
        preferences = Preferences(
            strategy=strategy,
            weights=settings.balance,
            shares=settings.weights,
            sticky=user if settings.sticky else None,
        )
        if conversation is None:
            return preferences
        draws = conversation.is_named or not settings.sticky
        return structs.replace(
            preferences,
            sticky=conversation.key if draws else user,
            conversation=conversation.key,
            home=self._find_home(plan, routing, conversation),
            first=self._find_first(plan, routing, strategy, conversation),
        )

    def _find_first(
        self, plan: Plan, routing: Routing, strategy: str, conversation: Conversation
    ) -> str:
        """The provider that goes first whatever its score; empty: none does."""
        if not routing.strategy:
            for name in conversation.owners:
                if self._can(plan, name):
                    return name
        if strategy in ("priority", "weighted"):
            return self._find_home(plan, routing, conversation)
        return ""

    def _find_home(self, plan: Plan, routing: Routing, conversation: Conversation) -> str:
        """The home of a conversation, where it may be tried: it is none any more once a breaker of
        its has opened."""
        if not self._homes:
            return ""  # most chains
        home = self._homes.find(conversation, routing.model, self._watch.now)
        if home in plan.models_at and not self._can(plan, home):
            self._homes.forget(conversation, routing.model)
            return ""
        return home

    def _can(self, plan: Plan, provider: str) -> bool:
        """Whether a provider is among the candidates, and may be tried."""
        return any(not self._watch.openness(target) for target in plan.models_at.get(provider, ()))

    def _order(
        self, preferences: Preferences, permit: Permit, targets: tuple[Target, ...]
    ) -> Order:
        """The models of a group by a strategy."""
        standings = self._compare(preferences, permit, targets)
        return order(standings, preferences, self._random.fraction)

    def _compare(
        self, preferences: Preferences, permit: Permit, targets: tuple[Target, ...]
    ) -> Standings:
        """How they compare, worked out anew when a measure has changed, or a while has passed."""
        strategy, measures, now = preferences.strategy, self._watch.measures, self._watch.now
        is_priced = strategy in PRICED
        expected = _round(permit.expected(None)) if is_priced else Usage()
        key = id(targets), strategy, expected
        stamp = now // KEPT_MS, measures.find_version(now) if strategy in EXPLORING else 0
        kept = self._kept.get(key)
        if kept and kept.stamp == stamp:
            return kept.standings
        costs = self._estimate(targets, expected) if is_priced else repeat(None)
        known = (measures.of(*target.name, now) for target in targets)
        standings = compare([*map(Candidate, targets, known, costs)], preferences)
        self._kept[key] = _Kept(targets, stamp, standings)
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return standings

    def _estimate(self, targets: Sequence[Target], expected: Usage) -> list[int | None]:
        """What they are expected to cost, in nano-dollars."""
        at, costs = self._calendar.now, list[int | None]()
        for model in (target.model for target in targets):
            most, usage = model.max_output, expected
            if most is not None and most < expected.output:
                usage = structs.replace(expected, output=most)
            costs.append(model.prices.compute_cost(usage, at).nano_usd)
        return costs

    def _price(self, orders: Iterable[Order], permit: Permit) -> list[Order]:
        """The orders, with the expected costs where none has decided, for an operator."""
        return [o if o.strategy in PRICED else self._add_costs(o, permit) for o in orders]

    def _add_costs(self, order: Order, permit: Permit) -> Order:
        some = order.standings.candidates
        costs = self._estimate([each.target for each in some], permit.expected(None))
        pairs = zip(some, costs, strict=True)
        priced = [structs.replace(each, cost_nano=cost) for each, cost in pairs]
        return structs.replace(order, standings=structs.replace(order.standings, candidates=priced))


def _round(expected: Usage) -> Usage:
    """A prompt's size is an estimate: prompts of about the same compare alike."""
    step = 1 << max(0, expected.input.bit_length() - EXACT_BITS)
    return structs.replace(expected, input=(expected.input + step // 2) // step * step)


def _put_first(provider: str, targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets, those of a provider before the others."""
    return tuple(sorted(targets, key=lambda target: target.spec.name != provider))

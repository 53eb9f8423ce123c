"""Ranks a request's candidates by the strategy that it names, or the deployment's, and keeps its
conversation where it was.

A conversation never goes against what its request says of the order, past an open breaker or out of
the models that mean the same to the caller.
"""

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct, structs

from proxy.core.chat import Routing
from proxy.core.choices import Reason, Weighed
from proxy.core.permit import Permit
from proxy.core.ports import Random
from proxy.core.settings import RoutingSettings
from proxy.providers.target import Target
from proxy.routing.affinity import Conversation, Homes
from proxy.routing.calendar import Calendar
from proxy.routing.plan import Plan
from proxy.routing.strategy import EXPLORING, Candidate, Order, Preferences, Ranked, order
from proxy.routing.watch import Watch

WEIGHED = 4
"""Candidates that a reason names at most."""


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

    def find_reason(self, target: Target) -> Reason | None:
        """Why a target was chosen; None where its request alone says so, or the chain."""
        name = target.spec.name, target.model.id
        choice = target.choice.id if target.choice else ""
        is_home = target.spec.name == self.first
        if self.strategy == "priority":
            return Reason(choice=choice, is_home=is_home) if choice or is_home else None
        weighed: tuple[Weighed, ...] = ()
        for group in self.explain():
            there = [(t.spec.name, t.model.id) for t in group.targets]
            if len(there) > 1 and name in there:
                weighed = tuple(map(_weigh, group.ranked[:WEIGHED]))
        return Reason(strategy=self.strategy, choice=choice, is_home=is_home, weighed=weighed)


def _weigh(ranked: Ranked) -> Weighed:
    candidate, score, notes = ranked
    return Weighed(
        provider=candidate.target.spec.name,
        model=candidate.target.model.id,
        score=None if score is None else round(score, 9),
        note=", ".join(notes),
    )


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
            return Ranking(
                targets,
                lambda: [
                    self._order(Preferences(strategy, first=first), permit, group.targets)
                    for group in plan.groups
                ],
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
        return Ranking(targets, lambda: orders, strategy, conversation, first)

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
        if home and plan.models_at(home) and not self._can(plan, home):
            self._homes.forget(conversation, routing.model)
            return ""
        return home

    def _can(self, plan: Plan, provider: str) -> bool:
        """Whether a provider is among the candidates, and may be tried."""
        return any(not self._watch.openness(target) for target in plan.models_at(provider))

    def _order(
        self, preferences: Preferences, permit: Permit, targets: tuple[Target, ...]
    ) -> Order:
        """The models of a group by a strategy."""
        candidates = [self._candidate(target, permit) for target in targets]
        return order(candidates, preferences, self._random.fraction)

    def _candidate(self, target: Target, permit: Permit) -> Candidate:
        expected = permit.expected(target.model.max_output)
        cost = target.model.prices.compute_cost(expected, self._calendar.now)
        return Candidate(target, self._watch.measure(target), cost.nano_usd)


def _put_first(provider: str, targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets, those of a provider before the others."""
    return tuple(sorted(targets, key=lambda target: target.spec.name != provider))

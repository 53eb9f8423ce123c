"""The rate-limit pool of a provider: what it bears, with a capacity for each of its scopes.

A pool is on no request's path: buckets report every few seconds while they are used, isolates pass
on the provider's words afterwards.
"""

import msgspec

from proxy.core.scopes import PROVIDER
from proxy.limits.capacity import MOST, ScopeCapacity
from proxy.limits.pool_messages import Allocation, DemandReport, PoolView, ScopeView, Signal

USERS, SCOPES = 5_000, 500
"""How many users and scopes a pool remembers at most; a user counts in each scope that it uses.
Beyond, those of the least demand are forgotten."""


_STATE = msgspec.msgpack.Decoder(dict[str, ScopeCapacity])


class RateLimitPool:
    """The pool of one provider. Moments are whole milliseconds.

    floor_per_hour: what each user keeps, if no less is configured for it. state: what `state()`
    gave. Raises ValueError where it is none.
    """

    def __init__(self, floor_per_hour: int, state: bytes | None = None) -> None:
        self._floor = min(max(0, floor_per_hour), MOST)
        self._scopes = {} if state is None else _STATE.decode(state)  # raises ValueErrors
        for capacity in self._scopes.values():
            capacity.floor = self._floor

    def encode_state(self) -> bytes:
        """What to store."""
        return msgspec.msgpack.encode(self._scopes)

    def report(self, demand: DemandReport, now: int) -> Allocation:
        """Counts a user's demand; what its bucket may have now of that scope."""
        allocation = self._scope(demand.scope, now).report(demand, now)
        if sum(len(capacity.users) for capacity in self._scopes.values()) > USERS:
            self._forget_users(now)
        return allocation

    def signal(self, signal: Signal, now: int) -> int:
        """Records what the provider said; until when (ms) the scope is closed, 0 if it is
        open. What makes no sense is ignored or bounded."""
        return self._scope(signal.scope, now).signal(signal, now)

    def show(self, now: int) -> PoolView:
        """For an operator."""
        views = []
        for scope in sorted({PROVIDER, *self._scopes}):
            capacity, closed = self._scope(scope, now).read_standing(now)
            if scope == PROVIDER or capacity is not None or closed:
                users = self._scopes[scope].list_shares(now)
                views.append(
                    ScopeView(scope=scope, capacity=capacity, closed_until=closed, users=users)
                )
        return PoolView(
            capacity=views[0].capacity,
            closed_until=max(view.closed_until for view in views),
            users=views[0].users,
            scopes=tuple(views[1:]),
        )

    def reset(self, now: int) -> None:
        """Forgets what the provider said and its users' demand, of all its models."""
        self._scopes = {}

    def is_idle(self, now: int) -> bool:
        """Whether there is nothing to remember."""
        self._scopes = {s: each for s, each in self._scopes.items() if not each.is_idle(now)}
        return not self._scopes

    def _scope(self, scope: str, now: int) -> ScopeCapacity:
        if scope not in self._scopes and len(self._scopes) >= SCOPES and not self.is_idle(now):
            kept = sorted(self._scopes, key=lambda s: (s != PROVIDER, -self._scopes[s].demand(now)))
            self._scopes = {s: self._scopes[s] for s in kept[: SCOPES * 9 // 10]}
        return self._scopes.setdefault(scope, ScopeCapacity(self._floor))

    def _forget_users(self, now: int) -> None:
        """Makes room for a tenth of USERS: the idle ones go, then those of the least demand."""
        self.is_idle(now)
        rising = sorted(
            (user.demand(now), scope, name)
            for scope, capacity in self._scopes.items()
            for name, user in capacity.users.items()
        )
        for _, scope, name in rising[: max(0, len(rising) - USERS * 9 // 10)]:
            del self._scopes[scope].users[name]

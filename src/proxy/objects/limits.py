"""The Durable Objects of the limits, and the stubs by which the Worker calls them.

Each wraps one pure state machine of `limits/` and keeps its state in one row, written before
the answer leaves (the platform holds the answer back until the write is on disk).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from pyodide.ffi import to_js
from workers import DurableObject

from proxy.core.circuit import REST_SECONDS
from proxy.core.settings import LimitSettings, read_section
from proxy.limits import adaptive
from proxy.limits.budget import Account, Reserve, Settlement
from proxy.limits.capacity import Allocation, Demand, Signal
from proxy.limits.lease import LeasedBucket
from proxy.limits.lease_messages import Ask
from proxy.platform.clock import SystemClock
from proxy.platform.log import log

T = TypeVar("T")


SAVE_MS = 10_000
"""How often a pool's figures are written; what a provider said is written at once."""

_ASK = msgspec.json.Decoder(Ask)
_RETURNS = msgspec.json.Decoder(tuple[tuple[int, int], ...])
_RESERVE = msgspec.json.Decoder(Reserve)
_SETTLEMENTS = msgspec.json.Decoder(tuple[Settlement, ...])
_SIGNAL = msgspec.json.Decoder(Signal)
_DEMANDS = msgspec.json.Decoder(tuple[Demand, ...])
_ALLOCATIONS = msgspec.json.Decoder(tuple[Allocation, ...])


def _now() -> int:
    return round(SystemClock().now() * 1000)


def _settings(env: Any) -> LimitSettings:
    """An object's environment can be asked for names only."""
    return read_section(LimitSettings, lambda name: getattr(env, name, ""))


class _Stateful(DurableObject):
    """An object whose state is one row.

    Its alarm is `on_alarm`: so the platform calls it where the Worker's entry is module-level.
    """

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._storage = ctx._ctx.storage
        self._storage.sql.exec(
            "CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB)"
        )
        self._alarmed = False
        self._forget_after_ms = _settings(env).forget_seconds * 1000

    def _revived(self, machine: Callable[[bytes | None], T]) -> T:
        """The state machine as it was stored."""
        rows = self._storage.sql.exec("SELECT body FROM state").toArray()
        try:
            return machine(rows[0].body.to_bytes() if rows.length else None)
        except ValueError as error:  # an older version's, or damaged: better to begin anew
            log("error", "state unreadable", object=type(self).__name__, error=str(error)[:200])
            return machine(None)

    def _save(self, state: bytes) -> None:
        self._storage.sql.exec(
            "INSERT OR REPLACE INTO state (id, body) VALUES (1, ?)", to_js(state)
        )
        if not self._alarmed:
            self._alarmed = True
            self._set_alarm()

    def _idle_at(self, now: int) -> int:
        """When it will have nothing to remember if nobody asks; 0: that is not known."""
        return 0

    def _set_alarm(self) -> None:
        now = _now()
        self._storage.setAlarm(max(self._idle_at(now), now + self._forget_after_ms))

    def _forget_or_wait(self, idle: bool) -> None:
        """The alarm's work: what has nothing to remember leaves no storage behind."""
        self._alarmed = not idle
        if idle:
            self._storage.sql.exec("DELETE FROM state")
            name, _, key = self.ctx.id.name.partition("\n")
            log("info", "state dropped", object=type(self).__name__, name=name, key=key)
        else:
            self._set_alarm()


class RateBucket(_Stateful):
    """The token bucket of one `provider:user`, or of one key (limits.limiter.bucket). See
    limits.lease."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._bucket = self._revived(partial(LeasedBucket, _now()))
        self._provider, _, user = ctx.id.name.partition(":")
        self._user = user.replace("\n", " ")  # for eyes: a key with limits of its own follows
        self._timeout = _settings(env).timeout_ms / 1000
        self._next_report = 0
        self._reporting: asyncio.Task[None] | None = None

    async def ask(self, ask_json: str) -> str:
        """core.ports.Buckets.ask of this bucket."""
        ask, now = _ASK.decode(ask_json), _now()
        grant = self._bucket.ask(ask, now)
        self._save(self._bucket.state())
        if self._provider != "key" and now >= self._next_report:
            self._next_report = now + 1000
            self._reporting = asyncio.ensure_future(self._report(ask))
        return msgspec.json.encode(grant).decode()

    async def give_back(self, returns_json: str) -> None:
        """core.ports.Buckets.give_back of this bucket."""
        self._bucket.give_back(_RETURNS.decode(returns_json), _now())
        self._save(self._bucket.state())

    async def show(self) -> str:
        """core.ports.Buckets.show of this bucket."""
        return msgspec.json.encode(self._bucket.show(_now())).decode()

    async def reset(self) -> None:
        """core.ports.Buckets.reset of this bucket."""
        self._bucket.reset(_now())
        self._save(self._bucket.state())

    async def on_alarm(self, info: Any = None) -> None:
        """Drops the state of a bucket that is full. A squeeze ends where nobody asks."""
        now = _now()
        if self._next_report < now - self._forget_after_ms:
            for scope in self._bucket.scopes():
                self._bucket.squeeze(None, 0, now, scope)
        self._forget_or_wait(self._bucket.idle(now))

    def _idle_at(self, now: int) -> int:
        return self._bucket.next_idle(now) or 0

    async def _report(self, ask: Ask) -> None:
        """Reports to the provider's pool what was asked for, and takes the shares that it gives."""
        scopes = self._bucket.scopes()
        demands = [
            Demand(
                user=self._user, scope=scope, taken=each.taken, refused=each.refused, rate=ask.rate
            )
            for scope in scopes
            for each in [self._bucket.demand(scope)]
        ]
        try:
            stub = self.env.PROVIDER_POOL.getByName(self._provider)
            async with asyncio.timeout(self._timeout):
                told = await stub.report(msgspec.json.encode(demands).decode())
            allocations = _ALLOCATIONS.decode(told)
        except Exception as error:  # the shares stay as they are until the next report
            self._next_report = _now() + round(REST_SECONDS * 1000)
            log("error", "pool unreachable", error=repr(error)[:500])
            return
        now = _now()
        self._next_report = now + min(each.next_report for each in allocations)
        for scope, each in zip(scopes, allocations, strict=True):
            self._bucket.squeeze(each.rate, each.closed_until, now, scope)
        self._save(self._bucket.state())


class ProviderPool(_Stateful):
    """What one provider bears. See limits.adaptive."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        floor = _settings(env).floor_per_hour
        self._pool = self._revived(partial(adaptive.ProviderPool, floor))
        self._saved = 0

    async def report(self, demands_json: str) -> str:
        """A bucket's Demands, one for each scope, answered by as many Allocations."""
        now = _now()
        allocations = [self._pool.report(each, now) for each in _DEMANDS.decode(demands_json)]
        if abs(now - self._saved) >= SAVE_MS:  # an older state does little harm
            self._saved = now
            self._save(self._pool.state())
        return msgspec.json.encode(allocations).decode()

    async def signal(self, signal_json: str) -> None:
        """core.ports.Pools.signal of this provider."""
        self._pool.signal(_SIGNAL.decode(signal_json), _now())
        self._save(self._pool.state())

    async def show(self) -> str:
        """core.ports.Pools.show of this provider."""
        return msgspec.json.encode(self._pool.show(_now())).decode()

    async def reset(self) -> None:
        """core.ports.Pools.reset of this provider."""
        self._pool.reset(_now())
        self._save(self._pool.state())

    async def on_alarm(self, info: Any = None) -> None:
        """Drops the state of a provider that nobody asks for."""
        self._forget_or_wait(self._pool.idle(_now()))


class KeyAccount(_Stateful):
    """What one key has used. See limits.budget."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._account = self._revived(partial(Account, _now()))

    async def reserve(self, reserve_json: str) -> str:
        """core.ports.Accounts.reserve of this key."""
        verdict = self._account.reserve(_RESERVE.decode(reserve_json), _now())
        self._save(self._account.state())
        return msgspec.json.encode(verdict).decode()

    async def settle(self, settlements_json: str) -> None:
        """core.ports.Accounts.settle of this key."""
        now = _now()
        for one in _SETTLEMENTS.decode(settlements_json):
            self._account.settle(one.id, one.tokens, one.nano_usd, now)
        self._save(self._account.state())

    async def show(self) -> str:
        """core.ports.Accounts.show of this key."""
        return msgspec.json.encode(self._account.show(_now())).decode()

    async def reset(self) -> None:
        """core.ports.Accounts.reset of this key."""
        self._account.reset(_now())
        self._save(self._account.state())

    async def on_alarm(self, info: Any = None) -> None:
        """Drops the state of an account whose month is over."""
        self._forget_or_wait(self._account.idle(_now()))

    def _idle_at(self, now: int) -> int:
        return self._account.next_idle(now)


class BucketsStub:
    """core.ports.Buckets over the Durable Objects."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def ask(self, name: str, ask_json: str) -> str:
        """See core.ports.Buckets."""
        text: str = await self._namespace.getByName(name).ask(ask_json)
        return text

    async def give_back(self, name: str, returns_json: str) -> None:
        """See core.ports.Buckets."""
        await self._namespace.getByName(name).give_back(returns_json)

    async def show(self, name: str) -> str:
        """See core.ports.Buckets."""
        text: str = await self._namespace.getByName(name).show()
        return text

    async def reset(self, name: str) -> None:
        """See core.ports.Buckets."""
        await self._namespace.getByName(name).reset()


class AccountsStub:
    """core.ports.Accounts over the Durable Objects."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def reserve(self, key_id: str, reserve_json: str) -> str:
        """See core.ports.Accounts."""
        text: str = await self._namespace.getByName(key_id).reserve(reserve_json)
        return text

    async def settle(self, key_id: str, settlements_json: str) -> None:
        """See core.ports.Accounts."""
        await self._namespace.getByName(key_id).settle(settlements_json)

    async def show(self, key_id: str) -> str:
        """See core.ports.Accounts."""
        text: str = await self._namespace.getByName(key_id).show()
        return text

    async def reset(self, key_id: str) -> None:
        """See core.ports.Accounts."""
        await self._namespace.getByName(key_id).reset()


class PoolsStub:
    """core.ports.Pools over the Durable Objects."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def signal(self, provider: str, signal_json: str) -> None:
        """See core.ports.Pools."""
        await self._namespace.getByName(provider).signal(signal_json)

    async def show(self, provider: str) -> str:
        """See core.ports.Pools."""
        text: str = await self._namespace.getByName(provider).show()
        return text

    async def reset(self, provider: str) -> None:
        """See core.ports.Pools."""
        await self._namespace.getByName(provider).reset()

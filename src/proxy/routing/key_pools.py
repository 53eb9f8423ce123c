"""The keys of the providers that have several: whose turn it is, which rest, which are refused.

A conversation keeps to its key, since a provider's cache of prompts is its account's; all isolates
choose alike. Other calls take the keys in turn. A key that met a 429 rests, for the models that it
was about; one that is refused has a breaker, which lets one call try it again when its time is
over. One that may not use a model is passed over for that model. Only when no key is left is a
failure the provider's own, or the model's.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Literal

from msgspec import Struct, structs

from proxy.core.errors import Fault, FaultDetails
from proxy.core.permit import Permit
from proxy.core.scopes import PROVIDER, find_scope, find_scopes
from proxy.core.settings import RoutingSettings
from proxy.providers.target import Target
from proxy.routing.affinity import Conversation
from proxy.routing.breakers import Breakers, name_key
from proxy.routing.rendezvous import place
from proxy.routing.rests import Rests

KeyState = Literal["usable", "resting", "refused"]
Trouble = Literal["usable", "resting", "refused", "barred"]
"""What a fault makes of a key; barred: it may not use the model."""
BARRED_MS = 300_000
"""For how long a key is passed over for a model that it may not use, as long as a breaker opens at
most."""


class ProviderKey(Struct, frozen=True):
    """A provider's key."""

    number: int
    """From 1, in the order of the settings; 0: there are no others."""
    secret: str

    def __repr__(self) -> str:
        return f"ProviderKey({self.number})"


class KeyView(Struct, frozen=True, rename="camel"):
    """How a key stands."""

    number: int
    state: KeyState
    until: int | None = None
    """Milliseconds since 1970: until when it rests or is refused; None: it is usable, or tried
    again with the next call."""
    models: dict[str, int] = {}
    """The models for which alone it rests, and until when."""


class _Pool:
    """The keys of one provider."""

    def __init__(self, provider: str, keys: Sequence[str], shares_quota: bool) -> None:
        self.provider = provider
        self.keys = keys
        self.numbers = range(1, len(keys) + 1)
        self.shares_quota = shares_quota
        self.rests = Rests()
        self.bars = Rests()
        """For which models a key is passed over since it may not use them."""
        self._turn: int | None = None

    def in_order(self, holder: str | None, random: Callable[[], float]) -> list[int]:
        """The numbers of the keys as a holder prefers them; None: in turn."""
        if holder is not None:
            return sorted(self.numbers, key=lambda n: place(self.keys[n - 1], holder))
        size = len(self.keys)
        turn = int(random() * size) if self._turn is None else self._turn
        self._turn = (turn + 1) % size
        return [(turn + i) % size + 1 for i in range(size)]


class KeyPools:
    """The keys of all providers as one isolate knows them. now: milliseconds since 1970; random:
    gives numbers in [0, 1)."""

    def __init__(
        self,
        settings: RoutingSettings,
        breakers: Breakers,
        now: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        self._keys = {name: access.keys for name, access in settings.providers.items()}
        self._pools = {
            name: _Pool(name, access.keys, access.keys_share_quota)
            for name, access in settings.providers.items()
            if len(access.keys) > 1
        }
        self._sticky = settings.session_affinity
        self._breakers = breakers
        self._now = now
        self._random = random

    @property
    def has_pools(self) -> bool:
        """Whether any provider has several keys."""
        return bool(self._pools)

    def choose(
        self,
        provider: str,
        conversation: Conversation | None = None,
        model: str = "",
        tried: Set[int] = frozenset(),
    ) -> ProviderKey | None:
        """The key for a call. tried: the numbers of those that have failed it: only another one
        that is awake will do then. None: there is none. Where nothing is awake, the first to wake
        comes before any that is refused. Nothing may be awaited before the attempt begins, or two
        calls try a refused key again."""
        pool = self._pools.get(provider)
        if pool is None:
            keys = self._keys.get(provider, ())
            return ProviderKey(0, keys[0]) if keys and not tried else None
        holder = conversation.key if conversation and self._sticky else None
        found: list[tuple[tuple[int, int], int]] = []
        for number in pool.in_order(holder, self._random):
            if number in tried:
                continue
            wait = self._wait(pool, number, model)
            if wait == (0, 0):
                return ProviderKey(number, pool.keys[number - 1])
            found.append((wait, number))
        if tried or not found:
            return None
        number = min(found)[1]
        return ProviderKey(number, pool.keys[number - 1])

    def assign(
        self,
        target: Target,
        converse: Callable[[], Conversation | None],
        tried: Set[int] = frozenset(),
    ) -> Target | None:
        """The target with the key that `choose` gives it; itself where its provider has but one."""
        name = target.spec.name
        if name not in self._pools:
            return None if tried else target
        key = self.choose(name, converse(), target.model.id, tried)
        if key is None:
            return None
        return structs.replace(target, key=key.secret, key_number=key.number)

    def openness(self, provider: str) -> int:
        """0 if any of a provider's keys may be tried or has only to wake, otherwise the least that
        a refused one's breaker says."""
        pool = self._pools.get(provider)
        return min((self._refusal(pool, n) for n in pool.numbers), default=0) if pool else 0

    def observe(
        self, target: Target, permit: Permit, headers: Mapping[str, str], fault: Fault | None = None
    ) -> None:
        """Takes note of an answer to a call with a key. While another key of a pool is awake, the
        fault is that key's, and the limits hear nothing. When none is, they hear how long it takes
        until the first wakes. Raises nothing."""
        pool = self._pools.get(target.spec.name)
        if pool is None or not target.key_number:
            permit.observe(target.spec.name, target.model.id, headers, fault)
            return
        trouble = find_trouble(fault, shares_quota=pool.shares_quota)
        if fault is None or trouble == "usable":
            if pool.shares_quota:
                permit.observe(target.spec.name, target.model.id, headers, fault)
            elif fault:  # what is left of one account says nothing of the others
                permit.observe(target.spec.name, target.model.id, {}, fault)
            return
        fault.refuses_key = trouble == "refused"
        if trouble == "resting":
            told = None if fault.retry_after is None else math.ceil(fault.retry_after * 1000)
            scope = find_scope(fault.quota, target.model.id)
            pool.rests.begin(target.key_number, scope, told, self._now())
        elif trouble == "barred":
            pool.bars.begin(target.key_number, target.model.id, BARRED_MS, self._now())
        if self._has_other(pool, target):
            fault.blame = "key"
            return
        self._report(pool, target, permit, headers, fault)

    def clear(self, provider: str | None = None) -> None:
        """Wakes the keys of a provider, or all. Their breakers are reset with the provider's."""
        for name, pool in self._pools.items():
            if provider in (None, name):
                pool.rests.clear()
                pool.bars.clear()

    def views(self, provider: str) -> tuple[KeyView, ...]:
        """How the keys of a provider stand; empty where it has but one."""
        pool = self._pools.get(provider)
        return tuple(self._view(pool, number) for number in pool.numbers) if pool else ()

    def _view(self, pool: _Pool, number: int) -> KeyView:
        refused = self._breakers.view(name_key(pool.provider, number), self._now())
        if refused and refused.phase != "closed":
            return KeyView(number, "refused", refused.open_until)
        rests = pool.rests.by_scope(number, self._now())
        until = rests.pop(PROVIDER, None)
        for model, barred in pool.bars.by_scope(number, self._now()).items():
            rests[model] = max(barred, rests.get(model, 0))
        return KeyView(number, "usable" if until is None else "resting", until, rests)

    def _wait(self, pool: _Pool, number: int, model: str) -> tuple[int, int]:
        """How far a key is from use: refused for how long, resting until when."""
        return self._refusal(pool, number), self._wakes(pool, number, model)

    def _wakes(self, pool: _Pool, number: int, model: str) -> int:
        """When a key may be used for a model again; 0: it may be now."""
        now = self._now()
        rests = pool.rests.until(number, find_scopes(model), now)
        return max(rests, pool.bars.until(number, (model,), now))

    def _refusal(self, pool: _Pool, number: int) -> int:
        return self._breakers.openness_of(name_key(pool.provider, number), self._now())

    def _has_other(self, pool: _Pool, target: Target) -> bool:
        others: Iterable[int] = (n for n in pool.numbers if n != target.key_number)
        return any(self._wait(pool, n, target.model.id) == (0, 0) for n in others)

    def _report(
        self, pool: _Pool, target: Target, permit: Permit, headers: Mapping[str, str], fault: Fault
    ) -> None:
        """Has the limits hear of a fault after which no key is left. Where any has only to wake,
        the provider is rate-limited until the first does, or a refused one may be tried again."""
        provider, model, now = pool.provider, target.model.id, self._now()
        views = {n: self._breakers.view(name_key(provider, n), now) for n in pool.numbers}
        refused = {n for n, view in views.items() if view and view.phase != "closed"}
        if fault.refuses_key:
            refused.add(target.key_number)
        resting = [n for n in pool.numbers if n not in refused]
        barred = fault.blame == "model"
        if not resting or (barred and all(pool.bars.until(n, (model,), now) for n in resting)):
            permit.observe(provider, model, headers, fault)
            return
        wakes = [self._wakes(pool, n, model) for n in resting]
        wakes += [view.open_until for view in views.values() if view and view.open_until]
        wait = fault.retry_after = (min(wakes) - now) / 1000
        if fault.refuses_key or barred:
            fault.blame = "key"
            details = FaultDetails(retry_after=wait)
            fault = Fault("rate_limited", "No key is awake.", source="proxy", details=details)
        whole = all(pool.rests.until(n, (PROVIDER,), now) for n in resting)
        fault.quota = "account" if whole else "model"
        permit.observe(provider, model, {}, fault)


def find_trouble(fault: Fault | None, *, shares_quota: bool) -> Trouble:
    """What a fault makes of the key that its call had. shares_quota: whether all keys are of one
    account, whose limits are no single key's."""
    if fault is None:
        return "usable"
    if fault.blame == "model" and fault.kind == "unauthorized" and fault.status == 403:
        return "barred"
    if fault.blame != "provider":
        return "usable"
    if shares_quota and (fault.kind == "rate_limited" or fault.status == 402):
        return "usable"
    if fault.kind == "unauthorized" or fault.is_exhausted:
        return "refused"
    return "resting" if fault.kind == "rate_limited" else "usable"

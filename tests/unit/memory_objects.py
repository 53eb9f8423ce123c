"""The Durable Objects in memory: the real machines, by name."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from inspect import isawaitable
from typing import Any, Generic, TypeVar, cast

from proxy.access.key_book import KeyBook
from proxy.access.keys import (
    CHANGE,
    GET_KEY,
    ISSUE,
    LIST_KEYS,
    LIST_PREFIXES,
    LOOKUP,
    REVOKE,
    ROTATE,
    STORE,
    FoundKey,
)
from proxy.aliases.book import AliasBook
from proxy.aliases.messages import (
    DELETE_ALIAS,
    FIND_ALIAS,
    LIST_ALIASES,
    PUT_ALIAS,
    READ_ALIASES,
)
from proxy.analytics.store.shard import (
    ADD,
    FIGURES,
    FIGURES_TOGETHER,
    LOG_GROUPS,
    PRUNE,
    REQUESTS,
    Shard,
)
from proxy.cache.flight import JOIN, PUBLISH, RENEW, Flight
from proxy.cache.purge import LEDGER, READ_PURGES, RECORD_PURGE, Purge
from proxy.core.ports import Clock
from proxy.core.rpc import Method
from proxy.limits.account import Account
from proxy.limits.account_messages import RESERVE, RESET_ACCOUNT, SETTLE, SHOW_ACCOUNT, Settlement
from proxy.limits.budget_book import BudgetBook
from proxy.limits.lease_messages import GIVE_BACK, RESET_BUCKET, SHOW_BUCKET, TAKE
from proxy.limits.lease_server import LeaseServer
from proxy.limits.pool_messages import REPORT, RESET_POOL, SHOW_POOL, SIGNAL
from proxy.limits.rate_limit_pool import RateLimitPool
from proxy.limits.shared_budgets import DELETE_BUDGET, FIND_BUDGET, PUT_BUDGET, READ_BUDGETS
from proxy.responses.book import ResponseBook
from proxy.responses.messages import DELETE, FIND, FORGET, KEEP, LIST_INPUT, READ_CONTEXT
from proxy.routing.board import EXCHANGE, READ_OPENINGS, Board
from proxy.routing.health import READ_CHECKS, RECORD_CHECKS, Check
from tests.unit.analytics.shards import PlatformSQL

A = TypeVar("A")
R = TypeVar("R")
M = TypeVar("M")
Around = Callable[[str, A, Callable[[], Awaitable[R]]], Awaitable[R]]
"""Takes an object's name, the argument, and what gives the object's answer."""


class Namespace(Generic[M]):
    """The objects of one binding; `down` makes them fail, `silent` makes them hang; `slow`: the
    seconds before an answer."""

    def __init__(self, clock: Clock, make: Callable[[int], M]) -> None:
        self.held: dict[str, M] = {}
        self.calls: list[tuple[str, str]] = []
        """Methods and names of objects."""
        self.down = False
        self.silent = False
        self.slow = 0.0
        self._clock = clock
        self._make = make
        self._served: dict[str, Callable[[M, Any, int], Any]] = {}
        self._around: dict[str, Around[Any, Any]] = {}

    @property
    def now(self) -> int:
        return round(self._clock.now() * 1000)

    def at(self, name: str) -> M:
        """The machine of that name."""
        if name not in self.held:
            self.held[name] = self._make(self.now)
        return self.held[name]

    def called(self, method: Method[A, R]) -> list[str]:
        """The names of the objects of which it was called."""
        return [name for called, name in self.calls if called == method.name]

    def serve(
        self, method: Method[A, R], function: Callable[[M, A, int], R | Awaitable[R]]
    ) -> None:
        self._served[method.name] = function

    def wrap(self, method: Method[A, R], around: Around[A, R]) -> None:
        """Has calls of a method go through `around`."""
        self._around[method.name] = around

    def unwrap(self, method: Method[A, R]) -> None:
        del self._around[method.name]

    async def call(self, method: Method[A, R], name: str, argument: A) -> R:
        self.calls.append((method.name, name))

        async def answer() -> R:
            return await self._answer(method, name, argument)

        if around := self._around.get(method.name):
            return cast(R, await around(name, argument, answer))
        return await answer()

    async def _answer(self, method: Method[A, R], name: str, argument: A) -> R:
        if self.slow:
            await asyncio.sleep(self.slow)
        if self.down:
            raise RuntimeError("the object is unreachable")
        if self.silent:
            await asyncio.sleep(10_000)
        crossed = method.argument.decode(method.argument.encode(argument))
        answer = self._served[method.name](self.at(name), crossed, self.now)
        if isawaitable(answer):
            answer = await answer
        return method.answer.decode(method.answer.encode(answer))


class MemoryObjects:
    """core.ports.Objects. What crosses is encoded and decoded, as between isolates."""

    def __init__(self, clock: Clock) -> None:
        self.buckets = _buckets(clock)
        self.accounts = _accounts(clock)
        self.pools = _pools(clock)
        self.keys = Keys(clock)
        self.flights = _flights(clock)
        self.purges = _purges(clock)
        self.board = _board(clock)
        self.statistics = _statistics(clock)
        self.responses = _responses(clock)
        self.aliases = _aliases(clock)
        self._bindings: dict[str, Namespace[Any]] = {
            TAKE.binding: self.buckets,
            RESERVE.binding: self.accounts,
            REPORT.binding: self.pools,
            LOOKUP.binding: self.keys,
            JOIN.binding: self.flights,
            READ_PURGES.binding: self.purges,
            EXCHANGE.binding: self.board,
            ADD.binding: self.statistics,
            KEEP.binding: self.responses,
            READ_ALIASES.binding: self.aliases,
        }

    async def call(self, method: Method[A, R], name: str, argument: A) -> R:
        return await self._bindings[method.binding].call(method, name, argument)

    def all(self) -> Collection[Namespace[Any]]:
        """The objects of every binding."""
        return self._bindings.values()

    @property
    def ledger(self) -> list[Purge]:
        """The purges that were recorded."""
        return self.purges.at(LEDGER)


def _buckets(clock: Clock) -> Namespace[LeaseServer]:
    buckets = Namespace(clock, LeaseServer)
    buckets.serve(TAKE, LeaseServer.take)
    buckets.serve(GIVE_BACK, LeaseServer.give_back)
    buckets.serve(SHOW_BUCKET, lambda bucket, _, now: bucket.show(now))
    buckets.serve(RESET_BUCKET, lambda bucket, _, now: bucket.reset(now))
    return buckets


def _accounts(clock: Clock) -> Namespace[Account]:
    def settle(account: Account, settlements: tuple[Settlement, ...], now: int) -> None:
        for used in settlements:
            account.settle(used.id, used.tokens, used.nano_usd, now)

    accounts = Namespace(clock, Account)
    accounts.serve(RESERVE, Account.reserve)
    accounts.serve(SETTLE, settle)
    accounts.serve(SHOW_ACCOUNT, lambda account, _, now: account.show(now))
    accounts.serve(RESET_ACCOUNT, lambda account, _, now: account.reset(now))
    return accounts


def _pools(clock: Clock) -> Namespace[RateLimitPool]:
    pools = Namespace(clock, lambda _: RateLimitPool(60))
    pools.serve(REPORT, lambda pool, demands, now: tuple(pool.report(d, now) for d in demands))
    pools.serve(SIGNAL, lambda pool, signal, now: _none(pool.signal(signal, now)))
    pools.serve(SHOW_POOL, lambda pool, _, now: pool.show(now))
    pools.serve(RESET_POOL, lambda pool, _, now: pool.reset(now))
    return pools


def _flights(clock: Clock) -> Namespace[Flight]:
    flights = Namespace(clock, lambda _: Flight(clock))
    flights.serve(JOIN, lambda flight, patience, _: flight.join(patience))
    flights.serve(RENEW, lambda flight, ticket, _: _none(flight.renew(ticket)))
    flights.serve(PUBLISH, lambda flight, published, _: flight.publish(published))
    return flights


def _purges(clock: Clock) -> Namespace[list[Purge]]:
    purges = Namespace[list[Purge]](clock, lambda _: [])
    purges.serve(RECORD_PURGE, lambda ledger, purge, _: ledger.append(purge))
    purges.serve(READ_PURGES, lambda ledger, _, __: tuple(ledger))
    return purges


class _State:
    def __init__(self) -> None:
        self.board = Board()
        self.checks: tuple[Check, ...] = ()

    def record(self, checks: tuple[Check, ...]) -> None:
        self.checks = checks


def _board(clock: Clock) -> Namespace[_State]:
    board = Namespace(clock, lambda _: _State())
    board.serve(EXCHANGE, lambda state, news, now: state.board.exchange(news, now))
    board.serve(READ_OPENINGS, lambda state, _, __: state.board.openings())
    board.serve(RECORD_CHECKS, lambda state, checks, _: state.record(checks))
    board.serve(READ_CHECKS, lambda state, _, __: state.checks)
    return board


def _statistics(clock: Clock) -> Namespace[Shard]:
    statistics = Namespace(clock, lambda _: Shard(PlatformSQL()))
    statistics.serve(ADD, Shard.add)
    statistics.serve(FIGURES, lambda shard, query, _: shard.read_sums(query))
    statistics.serve(
        FIGURES_TOGETHER, lambda shard, queries, _: tuple(map(shard.read_sums, queries))
    )
    statistics.serve(REQUESTS, lambda shard, query, _: shard.read_page(query))
    statistics.serve(LOG_GROUPS, lambda shard, query, _: shard.read_groups(query))
    statistics.serve(PRUNE, lambda shard, _, now: shard.prune(now))
    return statistics


def _responses(clock: Clock) -> Namespace[ResponseBook]:
    responses = Namespace(clock, lambda _: ResponseBook(PlatformSQL(), 1_000_000))
    responses.serve(KEEP, ResponseBook.keep)
    responses.serve(READ_CONTEXT, ResponseBook.read_context)
    responses.serve(FIND, ResponseBook.find)
    responses.serve(DELETE, lambda book, id_, _: book.delete(id_))
    responses.serve(LIST_INPUT, ResponseBook.list_input)
    responses.serve(FORGET, lambda book, _, now: book.forget(now))
    return responses


def _aliases(clock: Clock) -> Namespace[AliasBook]:
    aliases = Namespace(clock, lambda _: AliasBook(PlatformSQL()))
    aliases.serve(READ_ALIASES, lambda book, known, _: book.read(known))
    aliases.serve(LIST_ALIASES, lambda book, wanted, _: book.read_page(wanted))
    aliases.serve(FIND_ALIAS, lambda book, name, _: book.find(name))
    aliases.serve(PUT_ALIAS, AliasBook.put)
    aliases.serve(DELETE_ALIAS, lambda book, old, _: book.delete(old))
    return aliases


class Keys(Namespace[KeyBook]):
    """The issued keys."""

    def __init__(self, clock: Clock) -> None:
        self._sql = PlatformSQL()
        super().__init__(clock, lambda _: KeyBook(self._sql))
        self.serve(
            LOOKUP, lambda book, wanted, now: book.lookup(wanted.digest, wanted.address, now)
        )
        self.serve(ISSUE, lambda book, new, _: book.issue(new.key, new.digest))
        self.serve(LIST_KEYS, lambda book, wanted, _: book.read_page(wanted))
        self.serve(GET_KEY, lambda book, key_id, _: FoundKey(key=book.find_key(key_id)))
        self.serve(LIST_PREFIXES, lambda book, after, _: book.list_prefixes(after))
        self.serve(CHANGE, lambda book, change, _: FoundKey(key=book.change(change)))
        self.serve(REVOKE, lambda book, key_id, now: FoundKey(key=book.revoke(key_id, now)))
        self.serve(ROTATE, lambda book, rotation, now: FoundKey(key=book.rotate(rotation, now)))

        self.budgets = budgets = BudgetBook(self._sql)
        self.serve(READ_BUDGETS, lambda _, known, __: budgets.read(known))
        self.serve(FIND_BUDGET, lambda _, name, __: budgets.find(name))
        self.serve(PUT_BUDGET, lambda _, budget, __: budgets.put(budget))
        self.serve(DELETE_BUDGET, lambda _, name, __: budgets.delete(name))

    @property
    def book(self) -> KeyBook:
        return self.at(STORE)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """What is kept in a table: `keys` or `secrets`."""
        return self._sql(f"SELECT * FROM {table}")

    def secrets(self) -> list[tuple[Any, ...]]:
        """The secrets that are kept."""
        return self._sql("SELECT * FROM secrets WHERE digest != ''")


def _none(_: object) -> None:
    """What a method answers whose machine says more."""

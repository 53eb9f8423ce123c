"""What the pure rooms need of the outside, as small Protocols."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from typing import Any, Protocol, TypeAlias

from msgspec import Raw, Struct

from proxy.core.body_memory import Hold
from proxy.core.codings import Unbrotli

ANSWER_BYTES = 12 * 1024 * 1024
"""Bytes of a model's whole answer: it may be of images."""
VECTORS_BYTES = 16 * 1024 * 1024
"""Bytes of an answer of embeddings: 2,000 of 1,536 numbers, as base64."""

Body: TypeAlias = bytes | tuple[bytes | memoryview | Raw, ...]
"""A body, or the parts of a large one: joined here they would take the memory twice."""


class Outgoing(Struct, frozen=True, kw_only=True):
    """A request to a provider. A url `ai:MODEL` goes over the AI binding, its body being the
    inputs; any other over HTTP. `headers` hold the provider's key: never log them."""

    url: str
    headers: dict[str, str] = {}
    body: Body | None = None
    method: str = "POST"
    largest: int = ANSWER_BYTES
    """Bytes that an answer may have which is read whole."""
    hold: Hold | None = None
    """Counts the memory of such an answer."""
    dropped: tuple[str, ...] = ()
    """The caller's parameters that this provider does not know and that were left out."""


class Reply(Protocol):
    """A provider's answer whose headers have come. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """The whole body. Raises Fault (network, timeout, garbage when over the request's
        `largest`), InternalError (503) where other requests take the memory."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Fault (network; timeout after too long a silence)."""

    def abort(self) -> None:
        """Closes the connection; the provider sees it. Safe to call twice."""


class Upstream(Protocol):
    """The way to the providers."""

    async def send(self, request: Outgoing, *, idle: float) -> Reply:
        """Sends and waits for the answer's headers. Redirects are not followed.

        idle: seconds of silence that are borne while the body comes. Being cancelled closes
        the connection. Raises Fault (network).
        """


class URL(Struct, frozen=True, kw_only=True):
    """An address as the platform reads it, and so as it would be fetched (WHATWG URL)."""

    href: str
    scheme: str
    """`https`: lower case, without its colon."""
    host: str
    """Lower case, in punycode; IPv4 in dotted decimals whatever it was written in, IPv6 in
    brackets. Without the port."""
    has_credentials: bool
    """Whether it holds a user or a password."""
    shown: str
    """Origin and path: what may be told, without user, password, query and fragment."""


ParseURL: TypeAlias = Callable[[str, str | None], URL | None]
"""`parse_url(text, base)`: the URL that `text` is, by itself or relative to `base`; None: none."""


class Clock(Protocol):
    """Time, injected so that tests can turn it."""

    def now(self) -> float:
        """Seconds since 1970; may step."""


class Random(Protocol):
    """Randomness, injected so that tests repeat."""

    def token(self, nbytes: int) -> str:
        """`nbytes` of unguessable randomness in hexadecimal."""

    def fraction(self) -> float:
        """Evenly from [0, 1)."""


class ProviderBoard(Protocol):
    """The providers' state that all isolates share (a Durable Object)."""

    async def record_checks(self, checks_json: str) -> None:
        """Stores health checks: a JSON list of routing.health.Check."""

    async def read_checks(self) -> str:
        """The last check of each provider, a JSON list."""

    async def exchange(self, told_json: str) -> str:
        """Tells what an isolate has seen, and gives what all have: routing.watch.Told."""

    async def read_openings(self) -> str:
        """The breakers that opened of late, a JSON list of routing.watch.Opening."""


class BlobStore(Protocol):
    """A tier of the cache that outlives the isolate (KV, R2)."""

    async def get(self, key: str) -> bytes | None:
        """The bytes, None where there are none."""

    async def put(self, key: str, data: bytes, lifetime: int) -> None:
        """Stores bytes for `lifetime` seconds, at least 60."""

    async def delete(self, key: str) -> None:
        """Removes them."""


class PrunableStore(BlobStore, Protocol):
    """A tier that expires nothing by itself."""

    async def prune(self, prefix: str) -> int:
        """Removes what is over among the keys that begin with `prefix`; tells how many."""


class PurgeLedger(Protocol):
    """The cache's purges, which all isolates share (a Durable Object)."""

    async def record_purge(self, purge_json: str) -> None:
        """Keeps a purge (cache.purge.Purge)."""

    async def read_purges(self) -> str:
        """All that are kept, a JSON list."""


class Flights(Protocol):
    """The flights of identical requests (a Durable Object for each key); see cache.flight."""

    async def board(self, key: str, patience: float) -> bytes:
        """Joins the flight of a key: cache.flight.Boarding as msgpack."""

    async def renew(self, key: str, ticket: int) -> None:
        """The leader's sign of life."""

    async def land(self, key: str, ticket: int, outcome: bytes | None) -> None:
        """The leader's report."""


class Buckets(Protocol):
    """The token buckets (a Durable Object for each `provider:user` and each key); JSON of
    limits.lease."""

    async def ask(self, name: str, ask_json: str) -> str:
        """Asks for a lease: an Ask, answered by a Grant."""

    async def give_back(self, name: str, returns_json: str) -> None:
        """Returns what was not spent: a list of (lease, tokens)."""

    async def show(self, name: str) -> str:
        """How the bucket stands."""

    async def reset(self, name: str) -> None:
        """Fills it."""


class Accounts(Protocol):
    """What keys have used (a Durable Object for each); JSON of limits.budget."""

    async def reserve(self, key_id: str, reserve_json: str) -> str:
        """Reserves tokens and money: a Reserve, answered by a Verdict."""

    async def settle(self, key_id: str, settlements_json: str) -> None:
        """Replaces what was reserved by what was used: a list of Settlements."""

    async def show(self, key_id: str) -> str:
        """How the account stands."""

    async def reset(self, key_id: str) -> None:
        """Forgets what was used."""


class Pools(Protocol):
    """What each provider bears (a Durable Object for each); JSON of limits.adaptive."""

    async def signal(self, provider: str, signal_json: str) -> None:
        """Reports what a provider said of its own limits: a Signal."""

    async def show(self, provider: str) -> str:
        """What it is thought to bear, and who has which share."""

    async def reset(self, provider: str) -> None:
        """Forgets what it said."""


class KeyStore(Protocol):
    """The issued keys (one Durable Object); JSON of access.keys. Secrets never get there."""

    async def lookup(self, digest: str, address: str) -> str:
        """Whose key it is, asked for by a caller at `address`: a Found."""

    async def issue(self, key_json: str, digest: str) -> None:
        """Keeps a new key and the SHA-256 of its secret."""

    async def list_keys(self, after: int, limit: int) -> str:
        """At most `limit` keys after a position, 0 for the first ones: an access.keys.Page."""

    async def get_key(self, key_id: str) -> str:
        """One key, or null where there is none."""

    async def list_prefixes(self) -> str:
        """How the SHA-256 of each secret that there is begins: see access.keys.KeyBook."""

    async def revoke(self, key_id: str) -> str:
        """Ends a key: the key, or null where there is none."""

    async def rotate(self, key_id: str, digest: str, overlap_ms: int) -> str:
        """Gives a key another secret; the old one goes on for `overlap_ms`. The key, or null
        where none is in use."""


class Statistics(Protocol):
    """The roll-ups and the request log (a Durable Object for each shard); JSON of analytics."""

    async def add(self, shard: int, flush_json: bytes) -> None:
        """Counts events: an analytics.figures.Flush. As bytes: they cross faster than a text."""

    async def figures(self, shard: int, query_json: str) -> str:
        """Sums: an analytics.figures.Query, answered by analytics.figures.Sums."""

    async def requests(self, shard: int, query_json: str) -> str:
        """A page of the request log: an analytics.requests.Query, answered by a Page."""

    async def prune(self, shard: int) -> None:
        """Drops what is older than it is kept."""


DataPoint: TypeAlias = tuple[list[str], list[float], str]
"""Blobs, doubles, and the index."""


class Points(Protocol):
    """The Analytics Engine dataset."""

    def __call__(self, points: Sequence[DataPoint]) -> None:
        """Writes data points, at most 25 an invocation; nothing is waited for."""


class SQL(Protocol):
    """A database of SQLite. What one call of a Durable Object writes is kept together."""

    def __call__(self, query: str, /, *bindings: str | float) -> Sequence[Sequence[Any]]:
        """Runs one statement and reads its rows. Any number is bound as a double, and so read
        back: whole ones are exact below 2^53. At most 100 bindings, of 2 MB each."""


class Batches(Protocol):
    """Where the parts of a batch run that one invocation can't hold (a Durable Object for each
    batch, without storage)."""

    async def start(self, name: str, chunk: bytes) -> AsyncGenerator[bytes, None]:
        """Has the object of that name begin with a chunk: JSON of batch, answered by a line for
        each result as it is done. Closing that calls off what is under way; so does being
        cancelled."""


class Log(Protocol):
    """One structured line an event; never a prompt, never a key."""

    def __call__(
        self, level: str, event: str, told: Struct | None = None, /, **fields: object
    ) -> None:
        """level: debug, info, warning or error; told: fields in place of the others."""


Defer: TypeAlias = Callable[[Coroutine[Any, Any, object]], None]
"""Has work done after the answer, which does not wait for it."""
Write = Callable[[bytes], Awaitable[None]]
"""Sends bytes to the caller, waiting until they are taken. Raises ClientGone."""


class Ports(Struct, frozen=True, kw_only=True):
    """All that the outside offers, handed to the app when an isolate starts."""

    upstream: Upstream
    clock: Clock
    random: Random
    board: ProviderBoard
    log: Log
    purges: PurgeLedger
    flights: Flights
    keys: KeyStore
    buckets: Buckets
    accounts: Accounts
    pools: Pools
    statistics: Statistics
    batches: Batches
    kv: BlobStore | None = None
    r2: PrunableStore | None = None
    points: Points | None = None
    parse_url: ParseURL = lambda text, base: None
    """Without one no text is a URL, and no image is fetched."""
    heap: Callable[[], int | None] = lambda: None
    """Bytes of memory that the isolate's Python holds; None: not known."""
    unbrotli: Unbrotli | None = None
    """None: Brotli can't be decoded here."""
    bindings: frozenset[str] = frozenset()
    """The providers that a binding of the Worker provides (`workers-ai`)."""
    unbound: tuple[str, ...] = ()
    """The bindings of Durable Objects that the Worker needs and does not have."""

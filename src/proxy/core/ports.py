"""What the pure rooms need of the outside, as small Protocols."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from msgspec import Raw, Struct

from proxy.core.body_memory import Hold
from proxy.core.codings import Unbrotli
from proxy.core.rpc import Method

A = TypeVar("A")
R = TypeVar("R")

ANSWER_BYTES = 12 * 1024 * 1024
"""Bytes of a model's whole answer: it may be of images."""
VECTORS_BYTES = 16 * 1024 * 1024
"""Bytes of an answer of embeddings: 2,000 of 1,536 numbers, as base64."""

Body: TypeAlias = bytes | tuple[bytes | memoryview | Raw, ...]
"""A body, or the parts of a large one: joined here they would take the memory twice."""


class Upload(Protocol):
    """A caller's body, as the platform can send it on unread."""

    def take(self) -> object:
        """The platform's own stream of it, None where there is none. It can't be read then."""


class Outgoing(Struct, frozen=True, kw_only=True):
    """A request to a provider. A url `ai:MODEL` goes over the AI binding, its body being the
    inputs; any other over HTTP. `headers` hold the provider's key: never log them."""

    url: str
    headers: dict[str, str] = {}
    body: Body | None = None
    upload: Upload | None = None
    """The body, where that is None."""
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
        `largest`), InternalError (503) where other requests take the memory. The connection is
        closed where the body is not read to its end, also when reading is cancelled: the provider
        would go on billing."""

    def chunks(self) -> AsyncGenerator[bytes]:
        """The body as it comes. Raises Fault (network; timeout after too long a silence)."""

    def gather(self) -> None:
        """Lets `chunks` give what has come together, where it comes faster than it is taken."""

    def flow(self, sink: "Sink", begun: bytes, *, finish: bool) -> AsyncGenerator[bytes]:
        """Has the body go to the caller as it comes, and gives what has gone by, now and then.

        begun: goes before it; finish: whether the body is read to its end for a caller who has
        left. Raises Fault as `chunks` does; ClientGone. Until it has ended or is closed, nothing
        else may be written.
        """

    async def pour(self, sink: "Sink") -> None:
        """Has the whole body go to the caller as it comes, of which nothing is read here. Raises
        Fault (network); ClientGone, after which the connection is closed."""

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
    """Origin and path: what a message may show, without user, password, query and fragment."""


ParseURL: TypeAlias = Callable[[str, str | None], URL | None]
"""`parse_url(text, base)`: the URL that `text` is, by itself or relative to `base`; None: none."""


class SignedIn(Struct, frozen=True):
    """Whom Cloudflare Access has signed in, by the platform's own word."""

    aud: str
    """The application's tag."""
    identity: str
    """What it knows of the user, as JSON; an empty object: nothing, as of a service token."""


class RSAKey(Struct, frozen=True):
    """A public key, its numbers in base64url (RFC 7518, 6.3)."""

    n: str
    e: str


class VerifyRS256(Protocol):
    """Verifies a signature: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3)."""

    async def __call__(self, key: RSAKey, signed: bytes, signature: bytes) -> bool:
        """Whether the key has signed it."""


async def verify_nothing(key: RSAKey, signed: bytes, signature: bytes) -> bool:
    """VerifyRS256 where there is none."""
    return False


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


class Objects(Protocol):
    """The Durable Objects, which all isolates share."""

    async def call(self, method: Method[A, R], name: str, argument: A) -> R:
        """What the object of that name answers. Raises whatever keeps it from answering; how long
        it may take is the caller's to say."""


class BlobStore(Protocol):
    """A tier of the cache that outlives the isolate."""

    async def get(self, key: str) -> bytes | None:
        """The bytes, None where there are none."""

    async def delete(self, key: str) -> None:
        """Removes them."""


class ExpiringStore(BlobStore, Protocol):
    """A tier that expires what it holds (KV)."""

    def put(
        self, key: str, data: bytes, lifetime: int, failed: Callable[[Exception], object]
    ) -> Awaitable[object]:
        """Begins to store bytes for `lifetime` seconds, at least 60, and gives what is left to
        wait for. failed: takes what keeps them from being stored."""


class PrunableStore(BlobStore, Protocol):
    """A tier that expires nothing by itself (R2)."""

    async def put(self, key: str, data: bytes, lifetime: int) -> None:
        """Stores bytes for `lifetime` seconds."""

    async def prune(self, prefix: str) -> int:
        """Removes what is over among the keys that begin with `prefix`; how many they were."""

    async def list_keys(self, prefix: str, after: str) -> Sequence[str]:
        """Up to 1,000 keys that begin with `prefix` and come after `after`, in their order."""

    async def delete_all(self, keys: Sequence[str]) -> None:
        """Removes up to 1,000 keys."""


class DataPoint(Struct, frozen=True, gc=False):
    """A row of the Analytics Engine dataset, as its binding takes it."""

    blobs: list[str]
    doubles: list[float]
    indexes: tuple[str]


class Points(Protocol):
    """The Analytics Engine dataset."""

    def __call__(self, points: Sequence[DataPoint]) -> None:
        """Writes data points, at most 25 an invocation; nothing is waited for."""


class SQL(Protocol):
    """A database of SQLite. What a call of a Durable Object writes is kept together."""

    def __call__(self, query: str, /, *bindings: str | float) -> Sequence[Sequence[Any]]:
        """Runs a statement and reads its rows. Any number is bound as a double, and so read
        back: whole ones are exact below 2^53. At most 100 bindings, of 2 MB each."""


class Batches(Protocol):
    """Where the parts of a batch run that an invocation can't hold (a Durable Object for each
    batch, without storage)."""

    async def start(self, name: str, chunk: bytes) -> AsyncGenerator[bytes, None]:
        """Has the object of that name begin with a chunk: JSON of batch, answered by a line for
        each result as it is done. Closing that calls off what is under way; so does being
        cancelled."""


class Log(Protocol):
    """A structured line an event; never a prompt, never a key."""

    def __call__(
        self, level: str, event: str, line: Struct | None = None, /, **fields: object
    ) -> None:
        """level: debug, info, warning or error; line: fields in place of the others."""


Defer: TypeAlias = Callable[[Awaitable[object]], None]
"""Has work done after the answer, which does not wait for it: a coroutine, or what goes on by
itself."""
Stay: TypeAlias = Callable[[], Callable[[], object]]
"""Has a request's work go on though its caller leaves before an answer begins, until what it gives
is called: a provider bills what it was asked for."""
Write = Callable[[bytes], Awaitable[None]]
"""Sends bytes to the caller, waiting until they are taken. Raises ClientGone."""


class Sink(Protocol):
    """The caller's end of a streamed answer."""

    sent: int
    """Bytes that have gone to the caller."""
    gone: bool
    """Whether the caller is known to have left."""

    async def write(self, data: bytes) -> None:
        """See Write."""


class Ports(Struct, frozen=True, kw_only=True):
    """All that the outside offers, handed to the app when an isolate starts."""

    upstream: Upstream
    clock: Clock
    random: Random
    log: Log
    objects: Objects
    batches: Batches
    kv: ExpiringStore | None = None
    r2: PrunableStore | None = None
    points: Points | None = None
    parse_url: ParseURL = lambda text, base: None
    """Without one no text is a URL, and no image is fetched."""
    heap: Callable[[], int | None] = lambda: None
    """Bytes of memory that the isolate's Python holds; None: not known."""
    unbrotli: Unbrotli | None = None
    """None: Brotli can't be decoded here."""
    verify_rs256: VerifyRS256 = verify_nothing
    bindings: frozenset[str] = frozenset()
    """The providers that a binding of the Worker provides (`workers-ai`)."""
    unbound: tuple[str, ...] = ()
    """The bindings of Durable Objects that the Worker needs and does not have."""

"""What is kept of requests and answers: redacted texts in R2, each under a name that says when its
time is over and whose it is.

Names begin with that moment, so that what is over comes first in R2's order. They end with what
nobody can guess, and stand in the request log: a caller that finds the record there may read its
bodies.
"""

from collections.abc import Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct

from proxy.core.body_memory import Hold
from proxy.core.ports import Clock, PrunableStore, Random
from proxy.core.redaction import redact
from proxy.core.time import format_time
from proxy.privacy.findings import Detector, take_turns
from proxy.privacy.masking import Masking, Placeholders

PREFIX = "bodies/"
JSON_TYPE = "application/json"
MARGIN = 4096
"""Bytes that are looked at beyond those that are kept: what the cut would go through is found."""
PAGES = 10
"""Lists of up to 1,000 names that are read at once, one subrequest each, and one that deletes."""


class KeptText(Struct, frozen=True, rename="camel"):
    """A body as it is kept."""

    content_type: str
    text: str
    truncated: bool


class KeptBodies(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is kept of one request. answer: None: there was none."""

    request: KeptText
    answer: KeptText | None
    redacted: dict[str, int]
    """How often each kind was found."""
    expires_at: str


class Deleted(Struct, frozen=True):
    """How many bodies were deleted, and from where on others may be left; None: none are."""

    deleted: int
    next: str | None


class RawBody(Struct):
    """A body before it is redacted, or as much of it as is looked at."""

    content_type: str
    data: bytes
    size: int
    """Bytes that it has, or had."""


class Note(Struct):
    """What is noted of a request until it is written."""

    request: RawBody
    hold: Hold | None
    """What it holds of the isolate's memory."""
    most: int
    """Bytes of its answer that are noted."""
    answer: RawBody | None = None

    def take_answer(self, body: bytes) -> None:
        """Notes an answer in JSON, unless one is noted already."""
        if self.answer is None:
            self.answer = RawBody(JSON_TYPE, body[: self.most], len(body))


_BODIES = msgspec.json.Decoder(KeptBodies)


class BodyLog:
    """The bodies of a deployment."""

    def __init__(
        self,
        store: PrunableStore,
        detector: Detector,
        clock: Clock,
        random: Random,
        limits: tuple[int, int],
    ) -> None:
        """limits: seconds for which a body is kept, and bytes of each."""
        self._store = store
        self._detector = detector
        self._clock = clock
        self._random = random
        self._ttl, self._most = limits

    @property
    def most_read(self) -> int:
        """Bytes of a body that are looked at."""
        return self._most + MARGIN

    def name(self, user: str) -> str:
        """A new name for the bodies of one of a user's requests."""
        over = int(self._clock.now()) + self._ttl
        return f"{over:010x}-{_digest(user)}-{self._random.token(12)}"

    async def write(
        self, name: str, request: RawBody, answer: RawBody | None, secrets: Sequence[str]
    ) -> None:
        """Redacts and keeps bodies. secrets: texts that must not stand in them. Raises whatever
        keeps the store from taking them."""
        placeholders, counts = Placeholders(), dict[str, int]()
        kept = [
            await self._redact(body, placeholders, counts, secrets) if body else None
            for body in (request, answer)
        ]
        assert kept[0]
        over = int(name.partition("-")[0], 16)
        bodies = KeptBodies(
            request=kept[0], answer=kept[1], redacted=counts, expires_at=format_time(over * 1000)
        )
        await self._store.put(PREFIX + name, msgspec.json.encode(bodies), self._ttl)

    async def read(self, name: str) -> KeptBodies | None:
        """The bodies of that name, None where they are over or gone."""
        if _is_over(name, self._clock.now()):
            return None
        data = await self._store.get(PREFIX + name)
        return None if data is None else _BODIES.decode(data)

    async def prune(self) -> int:
        """Deletes what is over, the oldest first; how many they were."""
        removed, now = 0, self._clock.now()
        for _ in range(PAGES):
            names = await self._store.list_keys(PREFIX, "")
            over = [name for name in names if _is_over(name.removeprefix(PREFIX), now)]
            if over:
                await self._store.delete_all(over)
                removed += len(over)
            if not over or len(over) < len(names):
                break
        return removed

    async def delete_of(self, user: str, after: str) -> Deleted:
        """Deletes what is kept of a user, from a name on."""
        mark, deleted, last = f"-{_digest(user)}-", 0, after
        for _ in range(PAGES):
            names = await self._store.list_keys(PREFIX, PREFIX + last if last else "")
            if not names:
                return Deleted(deleted, None)
            own = [name for name in names if mark in name]
            if own:
                await self._store.delete_all(own)
                deleted += len(own)
            last = names[-1].removeprefix(PREFIX)
        return Deleted(deleted, last)

    async def _redact(
        self,
        body: RawBody,
        placeholders: Placeholders,
        counts: dict[str, int],
        secrets: Sequence[str],
    ) -> KeptText:
        text = body.data[: self.most_read].decode("utf-8", "replace")
        masking = Masking(text, self._detector, placeholders, drops_sealed=True)
        masked = await take_turns(masking.steps())
        text = await self._mask_rest(masked, placeholders, counts)
        for sighting in masking.sightings:
            counts[sighting.kind] = counts.get(sighting.kind, 0) + 1
        is_cut = body.size > self.most_read
        text = redact(text, secrets, cut=is_cut)
        if is_cut:  # what was left out before may have brought the cut's place up to here
            text = text[:-MARGIN]
        data = text.encode("utf-8", "replace")
        return KeptText(
            content_type=body.content_type,
            text=data[: self._most].decode("utf-8", "ignore"),
            truncated=body.size > self._most or len(data) > self._most,
        )

    async def _mask_rest(
        self, text: str, placeholders: Placeholders, counts: dict[str, int]
    ) -> str:
        """Masks what stands in no string of JSON: not every body is JSON to its end."""
        pieces: list[str] = []
        at = 0
        for finding in await take_turns(self._detector.look(text)):
            counts[finding.kind] = counts.get(finding.kind, 0) + 1
            placeholder = placeholders.put(finding, lambda: text)
            pieces += (text[at : finding.start], placeholder)
            at = finding.end
        return "".join(pieces) + text[at:]


def _digest(user: str) -> str:
    return sha256(user.encode()).hexdigest()[:16]


def _is_over(name: str, now: float) -> bool:
    """Whether the time of a name is over; what is no name has none."""
    moment = name.partition("-")[0]
    try:
        return int(moment, 16) <= now
    except ValueError:
        return True

"""The guardrail: what a request holds of personal data and secrets before a provider sees it.

Promise: with it no body goes to a provider that was not looked at. What it can't look at it
refuses, and no message of its own quotes what it has found.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from urllib.parse import unquote_plus

from msgspec import Raw

from proxy.core.errors import InvalidRequest
from proxy.core.json_guard import is_json
from proxy.core.settings import PrivacySettings
from proxy.dialects import reading
from proxy.privacy.findings import MOST_FOUND, PIECE, TURN, Detector, TooMuchFound, take_turns
from proxy.privacy.masking import Masking, Placeholders, Sighting
from proxy.privacy.restoring import Restoring
from proxy.serving.context import RequestContext

CODE = "personal_data"
_WORDS = {
    "email": "an e-mail address",
    "card": "the number of a payment card",
    "iban": "an IBAN",
    "key": "an API key",
    "jwt": "a JSON Web Token",
    "private_key": "a private key",
}
_TOKENS = "A prompt of token numbers can't be looked at for personal data (GUARDRAIL): send text"
_TOO_MUCH = (
    f"The request holds more than {MOST_FOUND} values that may not go to a provider as they are"
    " (GUARDRAIL)."
)
_UNKNOWN = (
    "GUARDRAIL is on in this deployment, and it can look at bodies of JSON in UTF-8 alone, without"
    " a content-encoding. Use POST /v1/chat/completions, /v1/messages or /v1/responses."
)


_PASSED_OVER = re.compile(rb'(?<!\\)"(?:data:[^,\s"]{0,200},)?[A-Za-z0-9+/_-]{4096,}+={0,2}"')
"""A string that is an image or a file."""


@contextmanager
def refusing_too_much() -> Iterator[None]:
    """Raises InvalidRequest where more is found than may be."""
    try:
        yield
    except TooMuchFound:
        raise InvalidRequest(_TOO_MUCH, code=CODE) from None


class Guard:
    """The guardrail of a deployment that has one."""

    def __init__(self, settings: PrivacySettings) -> None:
        self._detector = Detector(settings.guardrail_kinds, settings.patterns)
        self.refuses = settings.guardrail == "refuse"
        self._looked_at = 0
        """Bytes of items since the last turn."""

    def weigh(self, body: bytes) -> int:
        """What looking at a body takes beside it, as a body counts (core.body_memory): what is
        passed over takes nothing."""
        return len(body) - sum(len(found[0]) for found in _PASSED_OVER.finditer(body))

    async def screen(self, context: RequestContext, body: bytes) -> bytes:
        """The body as a provider may see it; what the answer gets back is in the context. Raises
        InvalidRequest, InternalError (503) where there is no room for that."""
        masked, restoring = await self.mask(body)
        if restoring and context.hold:
            context.hold.keep(context.hold.size + restoring.size)
        context.restoring = restoring
        return masked

    async def screen_items(
        self, items: Sequence[Raw]
    ) -> tuple[tuple[Raw, ...], dict[int, Restoring]]:
        """The requests of a batch as providers may see them, and what the answers get back by their
        places. Where it refuses they stay: `check` is for each. Raises InvalidRequest."""
        if self.refuses:
            return tuple(items), {}
        masked: list[Raw] = []
        restorings: dict[int, Restoring] = {}
        found = 0
        for index, item in enumerate(items):
            body, restoring = await self._mask_item(item)
            masked.append(Raw(body))
            if restoring:
                restorings[index] = restoring
                found += len(restoring.values)
            if found > MOST_FOUND:
                raise InvalidRequest(_TOO_MUCH, code=CODE)
        return tuple(masked), restorings

    async def check(self, item: Raw) -> None:
        """Raises InvalidRequest for a request of a batch that may not go on. One that is masked
        may."""
        if self.refuses:
            await self._mask_item(item)

    async def _mask_item(self, item: Raw) -> tuple[bytes, Restoring | None]:
        """As `mask`, with a turn for others between items, each of which is short."""
        body = bytes(item)
        self._looked_at += len(body)
        if self._looked_at > PIECE:
            self._looked_at = 0
            await asyncio.sleep(TURN)
        return await self.mask(body)

    async def mask(self, body: bytes) -> tuple[bytes, Restoring | None]:
        """A body of JSON without what is found in it. Raises InvalidRequest."""
        reading.check(body)
        placeholders = Placeholders()
        masking = Masking(body.decode(), self._detector, placeholders)
        with refusing_too_much():
            masked = await take_turns(masking.steps())
        if masking.has_tokens:
            raise InvalidRequest(_TOKENS, param="input", code=CODE)
        if not masking.sightings:
            return body, None
        if self.refuses:
            raise _refuse(masking.sightings)
        return masked.encode(), Restoring(placeholders.values)

    def screen_session(self, context: RequestContext) -> str:
        """The name of the request's conversation as a provider may see it: a digest where it holds
        anything. One of a body is recorded so, too: its placeholder is other conversations' as
        well. Raises InvalidRequest."""
        seen, restoring = context.record.session, context.restoring
        name = restoring.restore_text(seen) if restoring else seen
        findings = self._detector.find(name)
        if findings and self.refuses:
            raise _refuse([Sighting(findings[0].kind, "")], "The name of the conversation")
        digest = sha256(name.encode()).hexdigest() if findings else name
        if name != seen:
            context.record.session = digest
        return digest

    def screen_headers(self, headers: dict[str, str]) -> dict[str, str]:
        """The headers that go on from the caller, without those that hold anything. Raises
        InvalidRequest."""
        found = {name: f[0] for name, text in headers.items() if (f := self._detector.find(text))}
        if found and self.refuses:
            name, finding = next(iter(found.items()))
            raise _refuse([Sighting(finding.kind, name)])
        return {name: text for name, text in headers.items() if name not in found}

    async def check_unread(self, address: str, body: bytes, headers: dict[str, str]) -> None:
        """Raises InvalidRequest for a request that would go on as it is, and whose answer nothing
        could be put back into, if it holds anything. address: path and query."""
        with refusing_too_much():
            findings = self._detector.find(unquote_plus(address))
        if findings:
            raise _refuse([Sighting(findings[0].kind, "")], "The address")
        if not body:
            return
        kind, _, charset = headers.get("content-type", "").lower().partition(";")
        is_utf8 = "charset" not in charset or "utf-8" in charset
        named = kind.strip() == "application/json" or kind.strip().endswith("+json")
        if not (named and is_utf8 and "content-encoding" not in headers and is_json(body)):
            raise InvalidRequest(_UNKNOWN, code=CODE)
        if b"\x00" in body:  # UTF-16 and UTF-32, which JSON may be for some
            raise InvalidRequest(_UNKNOWN, code=CODE)
        _, restoring = await self.mask(body)
        if restoring:
            raise InvalidRequest(
                "The body holds personal data or a secret, which GUARDRAIL=mask can't put back into"
                " an answer that is passed on as it is. Take it out, or use POST"
                " /v1/chat/completions, /v1/messages or /v1/responses.",
                code=CODE,
            )


def make_guard(settings: PrivacySettings) -> Guard | None:
    """The guardrail that the settings want; None: none."""
    return None if settings.guardrail == "off" else Guard(settings)


def _refuse(sightings: Sequence[Sighting], place: str = "") -> InvalidRequest:
    """The error that names the first field that holds something, and all kinds that it holds."""
    field = sightings[0].field
    kinds = dict.fromkeys(each.kind for each in sightings if each.field == field)
    names = " and ".join(
        _WORDS.get(kind, f"what the pattern {kind.upper()} means") for kind in kinds
    )
    where = f"{field}: " if field else ""
    return InvalidRequest(
        f"{where}{place or 'It'} holds {names}, which may not go to a provider here (GUARDRAIL).",
        param=field or None,
        code=CODE,
    )

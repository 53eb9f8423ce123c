"""Fetches the images of a request for providers that take only bytes.

Promises: https only, no private or loopback address, also not by a redirect, at most 20 MB and
20 s together, once a request. A host is judged as the platform reads it, and what was judged is
what is fetched. A name that resolves to a private address is the platform's to refuse: Workers on
Cloudflare's edge reach public addresses only.
"""

import asyncio
import base64
import re

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core.body_memory import STEP, Hold
from proxy.core.chat import ChatRequest
from proxy.core.errors import Fault, InvalidRequest
from proxy.core.json_guard import Decoder
from proxy.core.messages import Message, Part
from proxy.core.ports import URL, Outgoing, ParseURL, Reply, Upstream
from proxy.core.splice import FIELDS, ITEMS
from proxy.routing.public_host import is_public

LIMIT = 20 * 1024 * 1024
"""Bytes of images in one request."""
SECONDS = 20.0
"""What all images of a request may take together."""
REDIRECTS = 3
IDLE = 10.0
"""Seconds of silence borne from a host of images."""

_KIND = re.compile(r"image/[a-z0-9.+-]{1,64}")
_PART = Decoder(Part)


def has_remote_images(chat: ChatRequest) -> bool:
    """Whether `chat` has an image that is not there by value."""
    return any(map(_remote, _parts(chat)))


async def fetch_images(
    chat: ChatRequest,
    upstream: Upstream,
    parse_url: ParseURL,
    seconds: float = SECONDS,
    hold: Hold | None = None,
) -> dict[str, str]:
    """The `data:` URL of each address at which `chat` has an image. Raises InvalidRequest, and
    what core.body_memory raises where there is no room for them."""
    until = asyncio.get_running_loop().time() + min(seconds, SECONDS)
    left = LIMIT - sum(map(_inline_size, _parts(chat)))
    images: dict[str, str] = {}
    for number, message in enumerate(chat.messages):
        for place, part in enumerate(message.parts):
            address = _remote(part)
            if address is None or address in images:
                continue
            param = f"messages[{number}].content[{place}].image_url.url"
            fetch = _Fetch(upstream, parse_url, param, hold)
            images[address], size = await fetch.run(address, left, until)
            left -= size
    return images


def inline_images(chat: ChatRequest, images: dict[str, str], *, raw: bool) -> ChatRequest:
    """`chat` with `images` in place of their addresses, and all else as it was: in the bytes of
    its messages, which OpenAI's dialect sends on (`raw`), or in the messages as they were read.
    Only one of the two, since each copy takes up to 27 MB."""
    if not raw:
        messages = tuple(_inline_message(message, images) for message in chat.messages)
        return structs.replace(chat, messages=messages, raw_messages=(), body=None)
    raws = tuple(
        _inline_raw(text, images) if any(map(_remote, message.parts)) else text
        for text, message in zip(chat.raw_messages, chat.messages, strict=True)
    )
    if chat.body is None:
        return structs.replace(chat, raw_messages=raws)
    fields = FIELDS.decode(chat.body) | {"messages": raws}
    body = msgspec.json.encode(fields)
    del fields, raws
    views = ITEMS.decode(FIELDS.decode(body)["messages"])
    return structs.replace(chat, raw_messages=views, body=body)


def _inline_message(message: Message, images: dict[str, str]) -> Message:
    if not any(map(_remote, message.parts)):
        return message
    parts = (
        structs.replace(part, image_url=structs.replace(part.image_url, url=images[address]))
        if part.image_url and (address := _remote(part))
        else part
        for part in message.parts
    )
    return structs.replace(message, content=tuple(parts))


def _inline_raw(message: Raw, images: dict[str, str]) -> Raw:
    fields = FIELDS.decode(message)
    parts = [_inline_raw_part(part, images) for part in ITEMS.decode(fields["content"])]
    return Raw(msgspec.json.encode(fields | {"content": parts}))


def _inline_raw_part(raw: Raw, images: dict[str, str]) -> Raw:
    address = _remote(_PART.decode(raw))
    if address is None:
        return raw
    part = FIELDS.decode(raw)
    image = FIELDS.decode(part["image_url"]) | {"url": images[address]}
    return Raw(msgspec.json.encode(part | {"image_url": image}))


def _parts(chat: ChatRequest) -> list[Part]:
    return [part for message in chat.messages for part in message.parts]


def _remote(part: Part) -> str | None:
    """The address of an image that is not there by value."""
    url = part.image_url.url if part.type == "image_url" and part.image_url else ""
    return None if not url or url.startswith("data:") else url


def _inline_size(part: Part) -> int:
    """Bytes of an image that is there by value."""
    if part.image_url is None or not part.image_url.url.startswith("data:"):
        return 0
    return len(part.image_url.url) * 3 // 4


class _Fetch(Struct):
    """Fetches an image. param: where in the request its address stands."""

    upstream: Upstream
    parse_url: ParseURL
    param: str
    hold: Hold | None
    url: URL | None = None

    async def run(self, address: str, left: int, until: float) -> tuple[str, int]:
        """The image as a `data:` URL and its size in bytes. left: bytes that it may have; until:
        the running loop's time. Raises InvalidRequest."""
        try:
            async with asyncio.timeout_at(until):
                return await self._follow(address, left)
        except TimeoutError:
            raise self._refusal("it did not come in time") from None
        except Fault as fault:
            silent = fault.kind == "timeout"
            raise self._refusal("its host was silent" if silent else _UNREACHABLE) from fault

    async def _follow(self, address: str, left: int) -> tuple[str, int]:
        for _ in range(REDIRECTS + 1):
            self.url = url = self._judge(address)
            reply = await self.upstream.send(
                Outgoing(url=url.href, method="GET", headers={"accept": "image/*"}), idle=IDLE
            )
            try:
                location = reply.headers.get("location")
                if not (300 <= reply.status < 400 and location):
                    return await self._read(reply, left)
                address = location
            finally:
                reply.abort()
        raise self._refusal(f"it redirects more than {REDIRECTS} times")

    def _judge(self, address: str) -> URL:
        """What is to be fetched: exactly what was judged."""
        found = self.parse_url(address, self.url.href if self.url else None)
        if found is None:
            raise self._refusal("its address is no URL")
        self.url = found
        if found.scheme != "https":
            raise self._refusal("only https:// is fetched")
        if found.has_credentials:
            raise self._refusal("its address holds a user or a password; leave them out")
        if not is_public(found.host):
            raise self._refusal("its host is not public")
        return found

    async def _read(self, reply: Reply, left: int) -> tuple[str, int]:
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        if reply.status != 200 or not _KIND.fullmatch(kind):
            raise self._refusal(f"it answered {reply.status} with {kind[:80] or 'no content type'}")
        before = self.hold.size if self.hold else 0
        encoded, rest, size = [f"data:{kind};base64,"], b"", 0
        async for piece in reply.chunks():
            size += len(piece)
            if size > left:
                raise self._refusal(f"the images are over {LIMIT} bytes together")
            if self.hold and before + size * 4 // 3 > self.hold.size:
                self.hold.keep(before + size * 4 // 3 + STEP)
            rest += piece
            whole = len(rest) - len(rest) % 3
            encoded.append(base64.b64encode(rest[:whole]).decode())
            rest = rest[whole:]
        encoded.append(base64.b64encode(rest).decode())
        return "".join(encoded), size

    def _refusal(self, reason: str) -> InvalidRequest:
        where = f" at {self.url.shown[:200]}" if self.url else ""
        return InvalidRequest(
            f"{self.param}: The image{where} can't be fetched: {reason}.", param=self.param
        )


_UNREACHABLE = "its host can't be reached, or the connection broke"

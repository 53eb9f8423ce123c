"""Fetches the images of a request for providers that take only bytes.

Promises: https only, no private or loopback address, also not by a redirect, at most 20 MB
together. A name that resolves to a private address is the platform's to refuse: Workers
on Cloudflare's edge reach public addresses only.
"""

import base64
import ipaddress
from urllib.parse import urljoin, urlsplit

from msgspec import structs

from proxy.core.chat import ChatRequest, ImageURL, Message, Part
from proxy.core.errors import Fault, InvalidRequest
from proxy.core.ports import Outgoing, Reply, Upstream

LIMIT = 20 * 1024 * 1024
"""Bytes of images in one request."""
REDIRECTS = 3
IDLE = 10.0
"""Seconds of silence borne from a host of images."""


async def with_inline_images(chat: ChatRequest, upstream: Upstream) -> ChatRequest:
    """`chat` with every https image replaced by a `data:` URL. Raises InvalidRequest."""
    left = LIMIT - sum(_inline_size(part) for m in chat.messages for part in m.parts)
    messages = []
    for message in chat.messages:
        parts: list[Part] = []
        for part in message.parts:
            if part.image_url and not part.image_url.url.startswith("data:"):
                image, size = await _fetch(part.image_url.url, upstream, left)
                left -= size
                part = structs.replace(part, image_url=ImageURL(image, part.image_url.detail))
            parts.append(part)
        messages.append(_replaced(message, parts))
    return structs.replace(chat, messages=tuple(messages), raw_messages=(), body=None)


def _inline_size(part: Part) -> int:
    """Bytes of an image that is there by value."""
    if part.image_url is None or not part.image_url.url.startswith("data:"):
        return 0
    return len(part.image_url.url) * 3 // 4


def _replaced(message: Message, parts: list[Part]) -> Message:
    if isinstance(message.content, str) or message.content is None:
        return message
    return structs.replace(message, content=tuple(parts))


async def _fetch(url: str, upstream: Upstream, left: int) -> tuple[str, int]:
    """The image as a `data:` URL and its size in bytes."""
    for _ in range(REDIRECTS + 1):
        check_public(url)
        try:
            reply = await upstream.send(
                Outgoing(url=url, method="GET", headers={"accept": "image/*"}), idle=IDLE
            )
            location = reply.headers.get("location")
            if 300 <= reply.status < 400 and location:
                reply.abort()
                url = urljoin(url, location)
                continue
            return await _read(url, reply, left)
        except Fault as fault:
            raise _refusal(url, fault.message) from fault
    raise _refusal(url, f"it redirects more than {REDIRECTS} times")


async def _read(url: str, reply: Reply, left: int) -> tuple[str, int]:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if reply.status != 200 or not kind.startswith("image/"):
        reply.abort()
        raise _refusal(url, f"it answered {reply.status} with {kind or 'no content type'}")
    data = bytearray()
    async for piece in reply.chunks():
        data += piece
        if len(data) > left:
            reply.abort()
            raise _refusal(url, f"the images are over {LIMIT} bytes together")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}", len(data)


def check_public(url: str) -> None:
    """Raises InvalidRequest for a URL that is not https to a public host."""
    host = urlsplit(url).hostname or ""
    if urlsplit(url).scheme != "https" or not host:
        raise _refusal(url, "only https:// is fetched")
    name = host.rstrip(".").lower()
    try:
        public = ipaddress.ip_address(name).is_global
    except ValueError:
        # Numbers in other bases (0x7f.1, 2130706433) are addresses to some resolvers.
        public = "." in name and not name.rsplit(".", 1)[1].isdigit() and not _is_local(name)
        public = public and not name.rsplit(".", 1)[1].startswith("0x")
    if not public:
        raise _refusal(url, "its host is not public")


def _is_local(name: str) -> bool:
    return name.endswith((".localhost", ".local", ".internal", ".home.arpa"))


def _refusal(url: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"The image {url[:200]} can't be fetched: {reason}.", param="messages")

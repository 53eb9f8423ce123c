"""Reads one HTTP/1.1 request from a socket, keeping what the tests want to see of it."""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Json = dict[str, Any]


class MalformedError(Exception):
    """The bytes are no HTTP request that this server reads."""


@dataclass(frozen=True)
class Request:
    """A request with lower-case header names; `framed` is false where no length was told."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    framed: bool

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def key(self) -> str:
        """The API key that it was sent with."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        others = (self.headers.get(name, "") for name in ("x-api-key", "x-goog-api-key"))
        return bearer or next(filter(None, others), "")

    @property
    def key_number(self) -> int:
        """Which of a provider's keys that is: `test-openai-key-2` is the second."""
        found = re.search(r"-([0-9]+)$", self.key)
        return int(found[1]) if found else 1

    def json(self) -> Any:
        """The parsed body, or None where it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request, or None when the client has closed the connection before one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError as error:
        raise MalformedError("the head is too long") from error
    line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    try:
        method, target, _ = line.split(" ")
        pairs = [field.split(":", 1) for field in fields]
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
    except ValueError as error:
        raise MalformedError(f"not a request: {line!r}") from error
    try:
        body, framed = await _read_body(reader, headers)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Request(method, target, headers, body, framed)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> tuple[bytes, bool]:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader), True
    length = headers.get("content-length")
    if length is None:
        return b"", False
    if not length.isdigit():
        raise MalformedError(f"content-length {length!r}")
    return await reader.readexactly(int(length)), True


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = (await reader.readuntil(b"\r\n")).split(b";")[0].strip()
        try:
            count = int(size, 16)
        except ValueError as error:
            raise MalformedError(f"chunk size {size!r}") from error
        body += await reader.readexactly(count)
        if await reader.readexactly(2) != b"\r\n":
            raise MalformedError("a chunk without its line end")
        if count == 0:
            return bytes(body)

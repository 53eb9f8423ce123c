"""A provider of OpenAI's dialect that is fast enough not to be the limit.

    python -m bench.upstream PORT

`#d50c10` in a request's body lets it wait 50 ms before the answer and 10 ms between the events of
a stream; otherwise a stream comes at once. Each event is an HTTP chunk of its own, as real
providers send them.
"""

import asyncio
import json
import re
import sys
from collections.abc import Sequence

EVENTS = 20
"""Events with content; then come a finish, the usage where it is wanted, and [DONE]."""

_ID = {"id": "chatcmpl-bench", "created": 1_790_000_000, "model": "gpt-4o-mini"}
_USAGE = {"prompt_tokens": 12, "completion_tokens": EVENTS, "total_tokens": 12 + EVENTS}
_TEXT = (
    "Why did the proxy cross the edge? To fetch the answer on the other side, once, and keep it."
)
_DELAYS = re.compile(rb"#d(\d+)c(\d+)")


def _answer() -> bytes:
    message = {"role": "assistant", "content": _TEXT, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = json.dumps({**_ID, "object": "chat.completion", "choices": [choice], "usage": _USAGE})
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json"
    return f"{head}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


def _chunk(data: str) -> bytes:
    event = f"data: {data}\n\n"
    return f"{len(event):x}\r\n{event}\r\n".encode()


def _stream(has_usage: bool) -> Sequence[bytes]:
    """What is written of a stream, piece by piece."""
    begun = {**_ID, "object": "chat.completion.chunk"} | ({"usage": None} if has_usage else {})

    def event(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _chunk(json.dumps({**begun, "choices": [choice]}))

    first = {"role": "assistant", "content": "word"}
    pieces = [event(first if n == 0 else {"content": f" word{n}"}) for n in range(EVENTS)]
    pieces.append(event({}, "stop"))
    if has_usage:
        pieces.append(_chunk(json.dumps({**begun, "choices": [], "usage": _USAGE})))
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return (head + pieces[0], *pieces[1:], _chunk("[DONE]") + b"0\r\n\r\n")


_ANSWER = _answer()
_STREAMS = {has_usage: _stream(has_usage) for has_usage in (False, True)}
_BURSTS = {has_usage: b"".join(stream) for has_usage, stream in _STREAMS.items()}


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers once the request is whole."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and _is_whole(head.lower(), body):
            self._received = b""
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        flat = body.replace(b" ", b"")
        is_stream = b'"stream":true' in flat
        has_usage = b'"include_usage":true' in flat
        delays = _DELAYS.search(body)
        before, between = (int(number) / 1000 for number in delays.groups()) if delays else (0, 0)
        if is_stream and between:
            pieces: Sequence[bytes] = _STREAMS[has_usage]
        else:
            pieces = (_BURSTS[has_usage] if is_stream else _ANSWER,)
        if not before:
            self._write(pieces[0])
            return
        loop = asyncio.get_running_loop()
        begin = loop.time() + before
        for place, piece in enumerate(pieces):
            loop.call_at(begin + place * between, self._write, piece)

    def _write(self, piece: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(piece)


def _is_whole(head: bytes, body: bytes) -> bool:
    """head: in lower case."""
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    _, found, rest = head.partition(b"content-length:")
    return not found or len(body) >= int(rest.split(b"\r\n", 1)[0])


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))

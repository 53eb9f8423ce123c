"""The scripted upstream: every provider behind one port of the loopback interface."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from . import fixtures
from .anthropic_provider import Anthropic
from .behaviour import BadDirectiveError, Behaviour, behaviour_for, extract
from .gemini_provider import Gemini
from .journal import Ending, Entry, Journal
from .openai_family import DeepSeek, Groq, HuggingFace, Local, OpenRouter
from .openai_hosts import (
    Azure,
    Bedrock,
    Cerebras,
    DeepInfra,
    Fireworks,
    Gpu2,
    Lab,
    Nvidia,
    Ollama,
    Together,
    Vertex,
    Vllm,
)
from .openai_media import FREE
from .openai_provider import OpenAi
from .openai_vendors import Mistral, Moonshot, Perplexity, Xai, Zai
from .reply import RejectedError, Reply, dump, json_reply
from .request import Json, MalformedError, Request, read_request
from .wire import BrokenError, ClientGoneError, Link, LinkProtocol, send
from .workers_ai_provider import WorkersAi

T = TypeVar("T")

HEAD_LIMIT = 1 << 20
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n"


class Provider(Protocol):
    """What the server needs of each provider."""

    @property
    def name(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    def authorise(self, request: Request) -> None: ...
    def unknown(self, request: Request, body: Json) -> list[str]: ...
    def answer(self, request: Request, body: Any, behaviour: Behaviour) -> Reply: ...
    def error(self, rejected: RejectedError) -> Reply: ...
    def stream_error(self) -> list[str]: ...


PROVIDERS: tuple[Callable[[], Provider], ...] = (
    OpenAi,
    DeepSeek,
    Groq,
    OpenRouter,
    HuggingFace,
    Local,
    Gemini,
    Anthropic,
    WorkersAi,
    Mistral,
    Xai,
    Cerebras,
    Together,
    Fireworks,
    Moonshot,
    Zai,
    DeepInfra,
    Nvidia,
    Perplexity,
    Azure,
    Vertex,
    Bedrock,
    Ollama,
    Vllm,
    Lab,
    Gpu2,
)


class Upstream:
    """The server in its own thread and loop: `with Upstream() as up: ... up.url ...`."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._journal = Journal()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._providers = [provider() for provider in PROVIDERS]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self, tag: str | None = None) -> list[Json]:
        """The requests received with a tag, oldest first; see journal.Entry for the fields."""
        return self._in_loop(lambda: self._journal.entries(tag))

    def plan(self, directive: Json) -> None:
        """A directive for all requests, for those without a text (models lists) above all."""
        self._in_loop(lambda: setattr(self._journal, "plan", directive))

    def reset(self) -> None:
        """Forgets the log, the counts of `times` and the plan."""
        self._in_loop(self._journal.reset)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _in_loop(self, ask: Callable[[], T]) -> T:
        """Asks in the server's thread, so after all that it has sent has been noted down."""

        async def run() -> T:
            return ask()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _listen(self) -> None:
        def connection() -> LinkProtocol:
            reader = asyncio.StreamReader(limit=HEAD_LIMIT)
            protocol = LinkProtocol(reader, lambda r, w: self._accept(protocol, r, w))
            return protocol

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(connection, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(
        self, protocol: LinkProtocol, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        protocol.link = Link(reader, writer)
        task = self._loop.create_task(self._serve(protocol.link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, link: Link) -> None:
        """Answers the requests of one connection until either side has enough."""
        try:
            while request := await read_request(link.reader):
                await self._respond(link, request)
        except ClientGoneError:
            pass
        except (BrokenError, MalformedError):
            link.reset()
        finally:
            link.close()

    async def _respond(self, link: Link, request: Request) -> None:
        if request.path in ("/_log", "/_reset", "/_plan"):
            await send(link, self._control(request), Behaviour())
            return
        provider = next((p for p in self._providers if request.path.startswith(p.prefix)), None)
        if provider is None:
            await send(link, _text(404, f"no provider at {request.path}"), Behaviour())
            return
        try:
            body, directive = extract(request.json())
            plan = behaviour_for(
                provider.name, self._journal.plan, directive, key=request.key_number
            )
        except (BadDirectiveError, TypeError) as error:
            await send(link, _text(400, f"bad directive: {error}"), Behaviour())
            return
        tag = plan.tag or request.headers.get("x-test-tag", "")
        entry = self._journal.add(tag, provider.name, request, body)
        behaviour = self._journal.spend(provider.name, replace(plan, tag=tag))
        await self._answer(link, provider, request, entry, behaviour)

    async def _answer(
        self, link: Link, provider: Provider, request: Request, entry: Entry, behaviour: Behaviour
    ) -> None:
        try:
            reply = make_reply(provider, request, entry, behaviour)
        except RejectedError as rejected:
            entry.refused = rejected.message
            reply, behaviour = provider.error(rejected), Behaviour()
        except BadDirectiveError as error:
            reply, behaviour = _text(400, f"bad directive: {error}"), Behaviour()
        entry.status = reply.status
        ending: Ending = "broken"
        try:
            await send(link, reply, behaviour, entry)
            ending = "complete"
        except ClientGoneError:
            ending = "client_gone"
            raise
        finally:
            entry.end(ending)

    def _control(self, request: Request) -> Reply:
        if request.path == "/_log":
            return json_reply(self._journal.entries(request.query.get("tag")), {})
        if request.path == "/_plan":
            self._journal.plan = request.json() or {}
        else:
            self._journal.reset()
        return json_reply({}, {})


def make_reply(provider: Provider, request: Request, entry: Entry, behaviour: Behaviour) -> Reply:
    """The provider's checks first, whatever the directive says; then what the directive wants."""
    provider.authorise(request)
    if request.method == "POST":
        _check_framing(request)
        entry.unknown = provider.unknown(request, entry.body)
    try:
        healthy = provider.answer(request, entry.body, behaviour)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # A shape that the checks did not foresee; the providers' parsers refuse those too.
        raise RejectedError(400, f"Failed to deserialize the JSON body: {error!r}") from error
    return _shape(provider, _content(provider, healthy, behaviour), behaviour)


def _check_framing(request: Request) -> None:
    if not request.framed:
        raise RejectedError(411, "Length Required: neither Content-Length nor a chunked body")
    if FREE.fullmatch(request.path):
        return
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        raise RejectedError(415, "Unsupported Media Type: Content-Type must be application/json")
    if not isinstance(request.json(), dict):
        raise RejectedError(400, "We could not parse the JSON body of your request.")


def _content(provider: Provider, healthy: Reply, behaviour: Behaviour) -> Reply:
    """Which answer is sent: the healthy one, a fixture, or an error."""
    headers = behaviour.headers or {}
    if behaviour.fixture is not None:
        chosen = fixtures.load(provider.name, behaviour.fixture)
        return replace(chosen, headers=chosen.headers | headers)
    status = behaviour.status or healthy.status
    if behaviour.frames is not None:
        head = {"content-type": "text/event-stream"} | headers
        return Reply(status, head, [frame.encode() for frame in behaviour.frames], stream=True)
    if behaviour.body is not None:
        plain = isinstance(behaviour.body, str)
        kind = "text/plain" if plain else "application/json"
        body = behaviour.body if plain else dump(behaviour.body)
        return Reply(status, {"content-type": kind} | headers, [body.encode()])
    if status >= 400:
        error = provider.error(
            RejectedError(status, behaviour.message or f"scripted error {status}")
        )
        return replace(error, headers=error.headers | headers)
    return replace(healthy, status=status, headers=healthy.headers | headers)


def _shape(provider: Provider, reply: Reply, behaviour: Behaviour) -> Reply:
    """What is damaged about the body or its content type, the framing still being whole."""
    if behaviour.error_event_after is not None and reply.stream:
        tail = [event.encode() for event in provider.stream_error()]
        reply = replace(reply, events=reply.events[: behaviour.error_event_after] + tail)
    if behaviour.half_json:
        body = b"".join(reply.events)
        reply = replace(reply, events=[body[: len(body) // 2]])
    if behaviour.html:
        head = reply.headers | {"content-type": "text/html"}
        reply = Reply(reply.status, head, [HTML.encode()])
    if behaviour.empty:
        reply = replace(reply, events=[])
    if behaviour.content_type is not None:
        reply = replace(reply, headers=reply.headers | {"content-type": behaviour.content_type})
    return reply


def _text(status: int, text: str) -> Reply:
    return Reply(status, {"content-type": "text/plain"}, [text.encode()])

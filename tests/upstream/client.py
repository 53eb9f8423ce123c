"""A plain client for the tests of the upstream itself, with the bytes still in its hands."""

import http.client
import json
from typing import Any

from .request import Json
from .server import Upstream

OPENAI_FAMILY = {
    "openai": "/openai/v1",
    "deepseek": "/deepseek",
    "groq": "/groq/openai/v1",
    "openrouter": "/openrouter/api/v1",
    "huggingface": "/huggingface/v1",
    "local": "/local/v1",
}
GEMINI = "/gemini/v1beta/models/gemini-2.5-flash"
LLAMA = "/workers-ai/run/@cf/meta/llama-3.1-8b-instruct"


class Response:
    """A finished answer, however its body ended."""

    def __init__(self, reply: http.client.HTTPResponse) -> None:
        self.status = reply.status
        self.headers = {name.lower(): value for name, value in reply.getheaders()}
        self.cut = False
        body = bytearray()
        try:
            while piece := reply.read1():
                body += piece
        except (http.client.IncompleteRead, ConnectionError) as error:
            body += getattr(error, "partial", b"")
            self.cut = True
        self.cut = self.cut or bool(reply.length)
        reply.close()
        self.bytes = bytes(body)

    @property
    def json(self) -> Any:
        return json.loads(self.bytes)

    @property
    def events(self) -> list[Any]:
        """The data of the events; [DONE] and comments as text."""
        blocks = self.bytes.decode().replace("\r\n", "\n").split("\n\n")
        return [_event(block) for block in blocks if block]


def _event(block: str) -> Any:
    lines = [line.removeprefix("data: ") for line in block.split("\n") if line.startswith("data:")]
    return block if not lines or lines[0] == "[DONE]" else json.loads(lines[0])


class Client:
    """Speaks to one upstream as the proxy would, with the right key unless told otherwise."""

    def __init__(self, up: Upstream) -> None:
        self.up = up

    def send(self, method: str, path: str, body: Any = None, headers: Any = None) -> Response:
        provider = path.split("/")[1]
        key = {"x-goog-api-key": f"test-{provider}-key", "content-type": "application/json"}
        key["authorization"] = f"Bearer test-{provider}-key"
        link = http.client.HTTPConnection("127.0.0.1", self.up.port, timeout=5)
        try:
            data = json.dumps(body) if body is not None else None
            link.request(method, path, data, key if headers is None else headers)
            return Response(link.getresponse())
        finally:
            link.close()

    def chat(self, text: Any, provider: str = "openai", **fields: Any) -> Response:
        messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
        body = {"model": "some-model", "messages": messages} | fields
        return self.send("POST", f"{OPENAI_FAMILY[provider]}/chat/completions", body)

    def scripted(self, behaviour: Json, text: str = "hello", **fields: Any) -> Response:
        return self.chat(f"{text} {directive(behaviour)}", **fields)

    def gemini(self, text: Any, method: str = "generateContent", **fields: Any) -> Response:
        contents = [{"role": "user", "parts": [{"text": text}]}] if isinstance(text, str) else text
        return self.send("POST", f"{GEMINI}:{method}", {"contents": contents} | fields)


def directive(behaviour: Json, provider: str = "*") -> str:
    return "upstream:" + json.dumps({provider: behaviour})

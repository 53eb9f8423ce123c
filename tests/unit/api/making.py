"""An app with scripted providers, and what it logs of requests."""

from typing import Any

from proxy.api.app import App
from proxy.api.start import start
from proxy.core.ports import Outgoing, Ports
from proxy.core.web import Response
from tests.unit.callers import ENV, JSON, request, send
from tests.unit.doubles import Answerer, FakeReply, Logbook, ports


def unused(_: Outgoing) -> FakeReply:
    raise AssertionError("no provider should have been called")


def make_app(answer: Answerer = unused, **env: str) -> tuple[App, Ports]:
    outside = ports(answer)
    app = start(ENV | {"ANALYTICS": "off"} | env, outside)
    assert isinstance(app, App)
    return app, outside


def request_lines(outside: Ports) -> list[dict[str, object]]:
    """The log's lines of requests."""
    assert isinstance(outside.log, Logbook)
    return [fields for _, event, fields in outside.log.lines if event == "request"]


async def generate(app: App, **fields: Any) -> Response:
    """The response to a request in the native dialect."""
    body = {"prompt": "Hello"} | fields
    return await send(app, request("POST", "/v1/generate", body, **JSON))

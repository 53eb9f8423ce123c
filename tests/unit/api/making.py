"""An app with scripted providers, and what it logs of requests."""

from proxy.api.app import App
from proxy.api.start import start
from proxy.core.ports import Outgoing, Ports
from tests.unit.callers import ENV
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

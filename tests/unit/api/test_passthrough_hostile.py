"""What callers and providers can't do to one another by what is passed on."""

import json
from typing import Any

import pytest

from proxy.core.errors import Fault
from tests.unit.api.deployment import ADMIN
from tests.unit.api.passing import CHAT, Isolate, answering, error
from tests.unit.doubles import FakeReply

KEY = b"key-of-openai"
CHATS, IMAGES = "/openai/v1/chat/completions", "/openai/v1/images/generations"
DEAD_KEY = b'{"error": {"message": "Missing scopes", "code": "invalid_api_key"}}'


async def fail(isolate: Isolate, path: str, **headers: str) -> str:
    """The phase of OpenAI's breaker, and of its model's, after a dozen requests."""
    for _ in range(12):
        await isolate.call(path, CHAT, **headers)
    views = isolate.app.services.watch.views()
    return next((view.phase for view in views.values() if view.phase != "closed"), "closed")


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_a_refusal_quotes_no_key_of_the_provider_s(size: int) -> None:
    body = b'{"error": {"message": "' + (b"Bearer " + KEY + b"; ") * 20 + b'key-of-"}}'
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    isolate = Isolate(lambda _: FakeReply(*pieces, status=401, headers=headers))
    for path in (CHATS, "/openai/v1/files"):
        assert (await isolate.call(path)).status == 401
        assert isolate.read == body.replace(KEY, b"*" * len(KEY))


async def test_no_header_of_an_answer_shows_the_provider_s_key() -> None:
    isolate = Isolate(answering(x_echo=f"Bearer {KEY.decode()}"))
    response = await isolate.call(CHATS)
    assert KEY.decode() not in repr(response.headers)


async def test_other_endpoints_say_nothing_of_the_key_that_chats_have() -> None:
    assert await fail(Isolate(answering(DEAD_KEY, 401)), IMAGES) == "closed"
    assert await fail(Isolate(answering(DEAD_KEY, 401)), "/v1/moderations") == "closed"
    assert await fail(Isolate(answering(DEAD_KEY, 401)), CHATS) == "open"
    slow = Isolate(lambda _: Fault("timeout", "It drew too long."))
    assert await fail(slow, IMAGES) == "closed"


@pytest.mark.parametrize("status", [405, 406, 408, 412, 416, 426])
async def test_what_a_header_of_the_caller_s_brings_about_is_the_caller_s(status: int) -> None:
    isolate = Isolate(answering(b"Precondition failed", status))
    assert await fail(isolate, CHATS, if_match='"x"') == "closed"


async def test_a_caller_who_gives_no_time_breaks_nothing() -> None:
    google = "/genai/v1beta/models/gemini-3.8-flash:generateContent"
    late = b'{"error": {"code": 504, "status": "DEADLINE_EXCEEDED", "message": "Deadline"}}'
    hasty = Isolate(answering(late, 504))
    assert await fail(hasty, google, x_server_timeout="1") == "closed"
    assert await fail(Isolate(answering(late, 504)), google) == "open"


async def test_no_spelling_of_a_path_hides_what_is_used() -> None:
    isolate = Isolate()
    key = await isolate.issue(budget={"day": 0.0001}, passthrough=True)
    hidden = "/openai/v1/ch%61t/completions"
    assert (await isolate.call(hidden, key=key)).status == 200
    assert (await isolate.call(hidden, key=key)).status in (402, 429)


async def test_a_ticket_is_for_uploads_alone() -> None:
    host = "https://generativelanguage.googleapis.com"
    there = f"{host}/upload/v1beta/files?upload_id=u1"
    isolate = Isolate(lambda _: FakeReply(b"", headers={"x-goog-upload-url": there}))
    response = await isolate.call("/p/gemini/upload/v1beta/files", b"{}")
    _, _, query = response.headers["x-goog-upload-url"].partition("?")
    for path in ("/genai/upload/v1beta/files", "/p/gemini/upload/v1beta/files"):
        assert (await isolate.call(f"{path}?{query}", b"", authorization="")).status == 200
    for path in ("/genai/v1beta/upload/x", "/p/gemini/v1beta/models/upload/x:generateContent"):
        assert (await isolate.call(f"{path}?{query}", b"", authorization="")).status == 401


UPLOAD = "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=u1"


@pytest.mark.parametrize(
    ("method", "change", "status"),
    [("DELETE", {}, 401), ("PATCH", {"passthrough": False}, 403), ("PATCH", {"note": "x"}, 200)],
)
async def test_a_ticket_is_as_good_as_its_key(method: str, change: Any, status: int) -> None:
    isolate = Isolate(lambda _: FakeReply(b"", headers={"x-goog-upload-url": UPLOAD}))
    begun = await isolate.call("/genai/upload/v1beta/files", b"{}", key=await isolate.issue())
    path = begun.headers["x-goog-upload-url"].removeprefix("https://proxy.example")
    for _ in range(2):  # the second without a look-up
        assert (await isolate.call(path, b"", authorization="")).status == 200
    [key] = json.loads((await isolate.call("/admin/keys", method="GET", key=ADMIN)).body)["keys"]
    await isolate.call(f"/admin/keys/{key['id']}", change, method, ADMIN)
    assert (await isolate.call(path, b"", authorization="")).status == status


async def test_a_ticket_ends_with_what_let_its_caller_in() -> None:
    def make(**env: str) -> Isolate:
        return Isolate(lambda _: FakeReply(b"", headers={"x-goog-upload-url": UPLOAD}), **env)

    begun = await make().call("/genai/upload/v1beta/files", b"{}")
    path = begun.headers["x-goog-upload-url"].removeprefix("https://proxy.example")
    for env, status in (
        ({}, 200),
        ({"PROXY_API_KEY": "another"}, 401),
        ({"ACCESS_ROLES": "ann@example.com=user"}, 401),
    ):
        assert (await make(**env).call(path, b"", authorization="")).status == status


async def test_headers_that_no_server_takes_are_the_caller_s() -> None:
    isolate = Isolate()
    for path in (CHATS, "/v1/moderations"):
        refused = await isolate.call(path, x_odd="\ufffd")
        assert (refused.status, error(refused)["param"]) == (400, "x-odd")
    assert isolate.sent == []


@pytest.mark.parametrize("status", [200, 302, 404])
async def test_no_answer_is_a_page_of_the_proxy_s(status: int) -> None:
    hostile = {
        "content-type": "text/html",
        "content-security-policy": "script-src *",
        "x-content-type-options": "",
        "set-cookie": "a=b",
        "service-worker-allowed": "/",
        "access-control-allow-origin": "*",
        "refresh": "0;url=//a.example",
    }
    page = b"<script src=/dashboard></script>"
    isolate = Isolate(lambda _: FakeReply(page, status=status, headers=hostile))
    response = await isolate.call("/openai/v1/files/x", b"", "GET")
    assert (response.status, isolate.read) == (status, page)
    assert response.headers["content-security-policy"] == "sandbox"
    assert response.headers["x-content-type-options"] == "nosniff"
    gone = {"set-cookie", "service-worker-allowed", "access-control-allow-origin", "refresh"}
    assert not gone & response.headers.keys()


async def test_a_body_that_is_read_whole_counts_for_its_values() -> None:
    """A key that may use some models only has all names read: they are many times the bytes."""
    isolate = Isolate(BODY_MEMORY_BYTES="400000")
    key = await isolate.issue(models=["openai/gpt-4o-mini"])
    many = CHAT | {f"{number}": 1 for number in range(10_000)}
    few = CHAT | {"x": "1," * 60_000}
    for path in ("/openai/v1/chat/completions", "/v1/completions"):
        assert (await isolate.call(path, many, key=key)).status == 413
        assert (await isolate.call(path, few, key=key)).status == 200
        assert (await isolate.call(path, many)).status == 200

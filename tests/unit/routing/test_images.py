"""Fetching images: by value for those who can't fetch, and never from inside."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.core.chat import Call, ChatRequest, Routing
from proxy.core.errors import Fault, InvalidRequest
from proxy.core.messages import ImageURL, Message, Part
from proxy.core.ports import Outgoing, Ports
from proxy.dialects import native, openai
from proxy.providers.openai_request import build_body
from proxy.routing import images
from tests.unit.doubles import (
    Answerer,
    FakeReply,
    FakeUpstream,
    Unlimited,
    in_no_time,
    parse_url,
)
from tests.unit.providers import replay
from tests.unit.routing.making import (
    Isolate,
    body_of,
    error,
    joined,
    made_catalog,
    outside,
    sent,
    whole,
)

PNG = {"content-type": "image/png; charset=binary"}
HERE = "https://a.test/x.png"
PARAM = "messages[1].content[1].image_url.url"


def asking(*urls: str) -> ChatRequest:
    parts = tuple(Part("image_url", image_url=ImageURL(url, "low")) for url in urls)
    return ChatRequest(
        messages=(Message("system", "Look."), Message("user", (Part("text", "What?"), *parts)))
    )


async def fetched(chat: ChatRequest, answer: Answerer) -> list[str]:
    found = await images.fetch_images(chat, FakeUpstream(answer), parse_url)
    result = images.inline_images(chat, found, raw=False)
    return [part.image_url.url for m in result.messages for part in m.parts if part.image_url]


async def test_https_images_become_data_urls() -> None:
    chat = asking(HERE, "data:image/gif;base64,R0lG")
    urls = await fetched(chat, lambda _: FakeReply(b"\x89P", b"NG", headers=PNG))
    assert urls == ["data:image/png;base64,iVBORw==", "data:image/gif;base64,R0lG"]


async def test_an_address_is_fetched_once_however_often_it_stands_there() -> None:
    upstream = FakeUpstream(lambda _: FakeReply(b"x", headers=PNG))
    found = await images.fetch_images(asking(HERE, HERE), upstream, parse_url)
    assert len(upstream.sent) == len(found) == 1


async def test_redirects_are_followed_to_public_hosts_only() -> None:
    hop = FakeReply(status=302, headers={"location": "/y"})

    def answer(request: Outgoing) -> FakeReply:
        return hop if request.url == "https://a.test/x" else FakeReply(b"x", headers=PNG)

    assert await fetched(asking("https://a.test/x"), answer) == ["data:image/png;base64,eA=="]
    assert hop.aborted
    inside = {"location": "https://169.254.169.254/latest"}
    with pytest.raises(InvalidRequest, match="its host is not public"):
        await fetched(asking("https://a.test/"), lambda _: FakeReply(status=301, headers=inside))
    loop = {"location": "https://a.test/"}
    with pytest.raises(InvalidRequest, match="redirects more than 3 times"):
        await fetched(asking("https://a.test/"), lambda _: FakeReply(status=301, headers=loop))


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://127.0.0.1/x", "its host is not public"),
        ("http://a.test/x", "only https"),
        ("file:///etc/passwd", "no URL"),
        ("https://[", "no URL"),
        ("https://ann:secret@a.test/x", "holds a user"),
    ],
)
async def test_an_address_that_is_not_fetched(address: str, reason: str) -> None:
    upstream = FakeUpstream(lambda _: FakeReply(b"x", headers=PNG))
    with pytest.raises(InvalidRequest, match=reason) as caught:
        await images.fetch_images(asking(address), upstream, parse_url)
    assert caught.value.param == PARAM
    assert not upstream.sent


async def test_an_address_is_told_without_its_secrets() -> None:
    chat = asking("https://ann:secret@a.test/x?token=secret#secret")
    for address in (chat, asking("https://a.test/x?token=secret#secret")):
        with pytest.raises(InvalidRequest) as caught:
            await fetched(address, lambda _: FakeReply(b"no", status=404, headers=PNG))
        assert "https://a.test/x can't be fetched" in caught.value.message
        assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (FakeReply(b"no", status=404, headers=PNG), "answered 404 with image/png"),
        (FakeReply(b"<p>", headers={"content-type": "text/html"}), "answered 200 with text/html"),
        (FakeReply(b"?", headers={"content-type": 'image/"'}), 'answered 200 with image/"'),
        (FakeReply(b"?", headers={"x": "y"}), "no content type"),
        (FakeReply(Fault("network", "Broke."), headers=PNG), "the connection broke"),
        (FakeReply(Fault("timeout", "Silent."), headers=PNG), "its host was silent"),
    ],
)
async def test_what_is_no_image_is_refused(reply: FakeReply, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        await fetched(asking(HERE), lambda _: reply)
    assert reply.aborted


async def test_the_limit_holds_for_all_images_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LIMIT", 10)
    chat = asking("https://a.test/1", "https://a.test/2")
    first, second = FakeReply(b"123456", headers=PNG), FakeReply(b"12345", headers=PNG)
    replies = [first, second]
    with pytest.raises(InvalidRequest, match="over 10 bytes together"):
        await fetched(chat, lambda _: replies.pop(0))
    assert second.aborted


# --- nothing but the address changes --------------------------------------------------------

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
MARKS = st.dictionaries(
    st.sampled_from(["cache_control", "prefix", "reasoning", "reasoning_details", "x"]),
    ANY_JSON,
    max_size=3,
)
TEXT = st.fixed_dictionaries({"type": st.just("text"), "text": st.text(min_size=1)})
AUDIO = st.fixed_dictionaries({"type": st.just("input_audio"), "input_audio": ANY_JSON})
FILE = st.fixed_dictionaries({"type": st.just("file"), "file": ANY_JSON})
OTHERS = st.lists(
    st.builds(lambda part, marks: marks | part, TEXT | AUDIO | FILE, MARKS), max_size=3
)


@given(before=OTHERS, after=OTHERS, marks=MARKS, top=MARKS, own=st.booleans())
def test_all_but_the_address_stays_as_it_was(
    before: list[Any], after: list[Any], marks: dict[str, Any], top: dict[str, Any], own: bool
) -> None:
    def body(url: str) -> dict[str, Any]:
        image = {"type": "image_url", "image_url": {"url": url, "detail": "low", "x": 1}, **marks}
        turn = {**marks, "role": "user", "content": [*before, image, *after]}
        past = {**marks, "role": "assistant", "content": "Yes."}
        labels = {"user": "ann"} | ({"fallback": False} if own else {})
        return {**top, **labels, "messages": [past, turn], "model": "m"}

    chat = openai.parse_chat(json.dumps(body(HERE)).encode()).chat
    inlined = images.inline_images(chat, {HERE: "data:image/png;base64,eA=="}, raw=True)
    target = replay.target("local")
    target = structs.replace(target, spec=structs.replace(target.spec, unknown_fields=True))
    sent_on, _ = build_body(target, inlined)
    wanted, _ = build_body(
        target, openai.parse_chat(json.dumps(body("data:image/png;base64,eA==")).encode()).chat
    )
    assert json.loads(joined(sent_on)) == json.loads(joined(wanted))
    assert inlined.raw_messages[0] == chat.raw_messages[0]


def test_an_instruction_before_native_messages_stays() -> None:
    image = {"type": "image_url", "image_url": {"url": HERE}}
    body = {"system": "Look.", "messages": [{"role": "user", "content": [image], "x": 1}]}
    chat = native.parse_chat(json.dumps(body).encode()).chat
    inlined = images.inline_images(chat, {HERE: "data:image/png;base64,eA=="}, raw=True)
    system, user = map(msgspec.json.decode, inlined.raw_messages)
    assert system == {"role": "system", "content": "Look."}
    assert user["x"] == 1
    assert user["content"][0]["image_url"]["url"].startswith("data:")


async def test_what_is_there_by_value_goes_on_untouched() -> None:
    routing = Routing(model="gemini/flash", fallback=False)
    out = outside(lambda _: error(400))
    with pytest.raises(InvalidRequest):
        await Isolate(made_catalog(), out).manager.complete(
            Call(chat=asking("data:image/gif;base64,R0lG"), routing=routing), Unlimited()
        )
    assert isinstance(out.upstream, FakeUpstream)
    [request] = out.upstream.sent
    assert b'"R0lG"' in body_of(request)


# --- beside the attempts ---------------------------------------------------------------------


def picture(model: str, *fallback: str, **routing: Any) -> Call:
    routing = {"model": model, "fallback": fallback} | routing
    return Call(
        chat=asking("https://pictures.test/cat.png?token=secret"), routing=Routing(**routing)
    )


def world(pictures: Any, **hosts: Any) -> Ports:
    def answer(request: Outgoing) -> Any:
        host = request.url.split("/")[2].removesuffix(".test")
        return (hosts | {"pictures": pictures})[host]

    return outside(answer)


def gemini() -> FakeReply:
    candidate = {"content": {"parts": [{"text": "A cat."}]}, "finishReason": "STOP"}
    return FakeReply(json.dumps({"candidates": [candidate]}).encode())


DRIPS: list[bytes | float] = [b"x", 9.0] * 100
IMAGE_FAILURES: dict[str, Any] = {
    "silent": 600.0,
    "out of reach": Fault("network", "The provider can't be reached."),
    "refusing": FakeReply(status=503),
    "stalled": FakeReply(b"x", 600.0, headers=PNG),
    "dripping": FakeReply(*DRIPS, headers=PNG),
}


@pytest.mark.parametrize("failure", IMAGE_FAILURES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_host_of_images_is_no_provider(failure: str, stream: bool) -> None:
    @in_no_time
    async def check() -> None:
        out = world(IMAGE_FAILURES[failure], gemini=gemini())
        isolate = Isolate(made_catalog(), out)
        for _ in range(30):
            with pytest.raises(InvalidRequest, match=r"https://pictures\.test/cat\.png can't be"):
                manager = isolate.manager
                chat_call = picture("gemini/flash", "openai")
                await (manager.stream if stream else manager.complete)(chat_call, isolate.permit)
        assert set(sent(out)) == {"pictures"}
        assert not isolate.permit.charged
        assert all(view.phase == "closed" for view in isolate.watch.views().values())
        assert not any(view.failures for view in isolate.watch.views().values())

    check()


@in_no_time
async def test_a_host_of_images_is_waited_for_no_longer_than_the_caller_wants() -> None:
    isolate = Isolate(made_catalog(), world(600.0))
    with pytest.raises(InvalidRequest, match="did not come in time"):
        await isolate.manager.complete(picture("gemini/flash", timeout_ms=700), isolate.permit)
    assert asyncio.get_running_loop().time() == pytest.approx(0.7)


@in_no_time
async def test_images_are_fetched_once_for_all_candidates() -> None:
    image = FakeReply(b"x", headers=PNG)
    out = world(image, gemini=error(503), openai=whole("A cat."))
    isolate = Isolate(made_catalog(), out)
    answer, _ = await isolate.manager.complete(
        picture("gemini/flash", models=("gemini/pro", "openai/gpt")), isolate.permit
    )
    assert answer.text == "A cat."
    assert sent(out).count("pictures") == 1
    assert sent(out).count("gemini") >= 2
    assert image.aborted  # the connection is given back


@in_no_time
async def test_who_fetches_images_itself_needs_no_fetch() -> None:
    out = world(600.0, openai=whole("A cat."), gemini=gemini())
    isolate = Isolate(made_catalog(), out)
    await isolate.manager.complete(picture("openai/gpt", "gemini"), isolate.permit)
    assert sent(out) == ["openai"]


@in_no_time
async def test_the_error_tells_what_was_tried_before() -> None:
    isolate = Isolate(made_catalog(), world(FakeReply(status=404), openai=error(503)))
    with pytest.raises(InvalidRequest) as caught:
        await isolate.manager.complete(picture("openai/gpt", "gemini"), isolate.permit)
    assert {attempt.provider for attempt in caught.value.attempts} == {"openai"}


@in_no_time
async def test_a_hedge_that_lacks_its_image_leaves_the_first_alone() -> None:
    slow = FakeReply(2.0, *whole("A cat.").pieces)

    def answer(request: Outgoing) -> Any:
        return FakeReply(status=404) if "pictures" in request.url else slow

    out = outside(answer)
    isolate = Isolate(made_catalog(), out, HEDGE_AFTER_MS="200")
    answered, _ = await isolate.manager.complete(picture("openai/gpt", "gemini"), isolate.permit)
    assert answered.text == "A cat."


@in_no_time
async def test_a_caller_who_leaves_ends_the_fetch() -> None:
    image = FakeReply(b"x", 600.0, headers=PNG)
    isolate = Isolate(made_catalog(), world(image))
    completing = isolate.manager.complete(picture("gemini/flash"), Unlimited())
    running = asyncio.ensure_future(completing)
    await asyncio.sleep(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0)
    assert image.aborted

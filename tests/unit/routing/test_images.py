"""Fetching images: by value for those who can't fetch, and never from inside."""

import pytest

from proxy.core.chat import ChatRequest, ImageURL, Message, Part
from proxy.core.errors import Fault, InvalidRequest
from proxy.routing import images
from tests.unit.doubles import Answerer, FakeReply, FakeUpstream

PNG = {"content-type": "image/png; charset=binary"}


def asking(*urls: str) -> ChatRequest:
    parts = tuple(Part("image_url", image_url=ImageURL(url, "low")) for url in urls)
    return ChatRequest(
        messages=(Message("system", "Look."), Message("user", (Part("text", "What?"), *parts)))
    )


async def fetched(chat: ChatRequest, answer: Answerer) -> list[str]:
    result = await images.with_inline_images(chat, FakeUpstream(answer))
    return [part.image_url.url for m in result.messages for part in m.parts if part.image_url]


async def test_https_images_become_data_urls() -> None:
    chat = asking("https://a.test/x.png", "data:image/gif;base64,R0lG")
    urls = await fetched(chat, lambda _: FakeReply(b"\x89P", b"NG", headers=PNG))
    assert urls == ["data:image/png;base64,iVBORw==", "data:image/gif;base64,R0lG"]


async def test_redirects_are_followed_to_public_hosts_only() -> None:
    def answer(request: images.Outgoing) -> FakeReply:
        if request.url == "https://a.test/x":
            return FakeReply(status=302, headers={"location": "/y"})
        return FakeReply(b"x", headers=PNG)

    assert await fetched(asking("https://a.test/x"), answer) == ["data:image/png;base64,eA=="]
    inside = {"location": "https://169.254.169.254/latest"}
    with pytest.raises(InvalidRequest, match="its host is not public"):
        await fetched(asking("https://a.test/"), lambda _: FakeReply(status=301, headers=inside))
    loop = {"location": "https://a.test/"}
    with pytest.raises(InvalidRequest, match="redirects more than 3 times"):
        await fetched(asking("https://a.test/"), lambda _: FakeReply(status=301, headers=loop))


@pytest.mark.parametrize(
    "url",
    [
        "http://a.test/x.png",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://10.0.0.8/x",
        "https://192.168.1.1/x",
        "https://[::1]/x",
        "https://[fd00::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://2130706433/x",
        "https://0x7f.0.0.1/x",
        "https://127.1/x",
        "https://0x7f000001/x",
        "https://a.localhost/x",
        "https://printer.local./x",
        "https://db.internal/x",
        "https:///x",
        "file:///etc/passwd",
    ],
)
def test_what_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="can't be fetched"):
        images.check_public(url)


@pytest.mark.parametrize("url", ["https://a.test/x", "https://8.8.8.8/x", "https://b.de:8443/x"])
def test_what_is_public_is_let_through(url: str) -> None:
    images.check_public(url)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (FakeReply(b"no", status=404, headers=PNG), "answered 404 with image/png"),
        (FakeReply(b"<p>", headers={"content-type": "text/html"}), "answered 200 with text/html"),
        (FakeReply(b"?", headers={"x": "y"}), "no content type"),
        (FakeReply(Fault("network", "The connection broke."), headers=PNG), "connection broke"),
    ],
)
async def test_what_is_no_image_is_refused(reply: FakeReply, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        await fetched(asking("https://a.test/x"), lambda _: reply)


async def test_the_limit_holds_for_all_images_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LIMIT", 10)
    chat = asking("https://a.test/1", "https://a.test/2")
    replies = [FakeReply(b"123456", headers=PNG), FakeReply(b"12345", headers=PNG)]
    with pytest.raises(InvalidRequest, match="over 10 bytes together"):
        await fetched(chat, lambda _: replies.pop(0))

"""The providers' own SDKs through the roots that are shaped like their base URLs."""

import io
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import errors, types

from tests.e2e.deployments import CALLER_KEY

GEMINI = "gemini-3.5-flash-lite"
CLAUDE = "claude-haiku-5-5"


@pytest.fixture
def google(keyed_url: str, tag: dict[str, str]) -> genai.Client:
    options = types.HttpOptions(base_url=f"{keyed_url}/genai", headers=tag)
    return genai.Client(api_key=CALLER_KEY, http_options=options)


@pytest.fixture(params=["/openai", "/openai/v1"])
def gpt(keyed_url: str, tag: dict[str, str], request: pytest.FixtureRequest) -> openai.OpenAI:
    base_url = keyed_url + request.param
    return openai.OpenAI(api_key=CALLER_KEY, base_url=base_url, default_headers=tag, max_retries=0)


@pytest.fixture
def claude(keyed_url: str, tag: dict[str, str]) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key=CALLER_KEY, base_url=f"{keyed_url}/anthropic", default_headers=tag, max_retries=0
    )


def find_record(admin: httpx.Client, endpoint: str) -> Any:
    """The newest request of the log at an endpoint."""
    rows = admin.get("/analytics/requests", params={"limit": "50"}).json()["requests"]
    return next(row for row in rows if row["endpoint"] == endpoint)


def test_google_answers_whole_streamed_and_in_a_chat(
    google: genai.Client, arrived: Callable[[], Any]
) -> None:
    whole = google.models.generate_content(model=GEMINI, contents="Say hello.")
    assert whole.text
    assert whole.usage_metadata and whole.usage_metadata.prompt_token_count
    pieces = [
        piece.text or ""
        for piece in google.models.generate_content_stream(model=GEMINI, contents="Say hello.")
    ]
    assert len(pieces) > 1
    assert "".join(pieces) == whole.text
    chat = google.chats.create(model=GEMINI)
    assert chat.send_message("Say hello.").text == whole.text
    assert chat.send_message("Again.").text
    assert {entry["headers"]["x-goog-api-key"] for entry in arrived()} == {"test-gemini-key"}
    assert arrived()[1]["path"].endswith(f"/models/{GEMINI}:streamGenerateContent?alt=sse")


def test_google_embeds_counts_and_lists(google: genai.Client) -> None:
    embedded = google.models.embed_content(model="gemini-embedding-001", contents=["a", "b"])
    assert [len(each.values or ()) for each in embedded.embeddings or ()] == [8, 8]
    assert google.models.count_tokens(model=GEMINI, contents="one two").total_tokens == 2
    assert list(google.models.list())


def test_google_takes_files(google: genai.Client, arrived: Callable[[], Any]) -> None:
    config = types.UploadFileConfig(mime_type="text/plain")
    file = google.files.upload(file=io.BytesIO(b"some text of a file"), config=config)
    assert (file.name, file.size_bytes) == ("files/abc", 19)
    assert google.files.get(name="files/abc").state == types.FileState.ACTIVE
    google.files.delete(name="files/abc")
    begun = arrived()[0]
    assert begun["path"].startswith("/gemini/upload/v1/files")


def test_googles_errors_are_googles_classes(
    google: genai.Client, keyed_url: str, tag: dict[str, str]
) -> None:
    with pytest.raises(errors.ClientError) as theirs:
        google.models.generate_content(model="gemini-none", contents="x")
    assert (theirs.value.code, theirs.value.status) == (404, "NOT_FOUND")
    options = types.HttpOptions(base_url=f"{keyed_url}/genai", headers=tag)
    stranger = genai.Client(api_key="wrong", http_options=options)
    with pytest.raises(errors.ClientError) as ours:
        stranger.models.generate_content(model=GEMINI, contents="x")
    assert (ours.value.code, ours.value.status) == (401, "UNAUTHENTICATED")


def test_openai_chats_and_streams(gpt: openai.OpenAI, arrived: Callable[[], Any]) -> None:
    asked: Any = [{"role": "user", "content": "Say hello."}]
    whole = gpt.chat.completions.create(model="gpt-5.4-mini", messages=asked)
    assert whole.choices[0].message.content
    stream = gpt.chat.completions.create(
        model="gpt-5.4-mini",
        messages=asked,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[-1].usage and chunks[-1].usage.prompt_tokens
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert gpt.responses.create(model="gpt-5.4-mini", input="Say hello.").output_text
    assert {entry["path"] for entry in arrived()} == {
        "/openai/v1/chat/completions",
        "/openai/v1/responses",
    }


def test_openai_keeps_files(gpt: openai.OpenAI) -> None:
    made = gpt.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
    assert (made.id, made.bytes) == ("file-abc", 3)
    assert gpt.files.retrieve("file-abc").id == "file-abc"
    assert gpt.files.delete("file-abc").deleted
    with pytest.raises(openai.NotFoundError):
        gpt.files.retrieve("file-none")


def test_anthropic_answers_streams_and_batches(
    claude: anthropic.Anthropic, arrived: Callable[[], Any]
) -> None:
    asked: Any = [{"role": "user", "content": "Say hello."}]
    whole = claude.messages.create(model=CLAUDE, max_tokens=50, messages=asked)
    assert whole.content[0].type == "text"
    with claude.messages.stream(model=CLAUDE, max_tokens=50, messages=asked) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
    params: Any = {"model": CLAUDE, "max_tokens": 5, "messages": asked}
    batch = claude.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
    assert claude.messages.batches.retrieve(batch.id).id == "msgbatch_1"
    assert {entry["headers"]["x-api-key"] for entry in arrived()} == {"test-anthropic-key"}
    assert [entry["path"] for entry in arrived()] == [
        "/anthropic/v1/messages",
        "/anthropic/v1/messages",
        "/anthropic/v1/messages/batches",
        "/anthropic/v1/messages/batches/msgbatch_1",
    ]


def test_a_wrong_key_is_an_error_of_the_root(keyed_url: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(api_key="wrong", base_url=f"{keyed_url}/openai").models.list()
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(api_key="wrong", base_url=f"{keyed_url}/anthropic").models.list()

"""OpenAI's endpoints beside chat, which go to the provider of the model that they name."""

from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY
from tests.upstream.openai_media import SPEECH


@pytest.fixture
def client(keyed_url: str, tag: dict[str, str]) -> openai.OpenAI:
    base_url = f"{keyed_url}/v1"
    return openai.OpenAI(api_key=CALLER_KEY, base_url=base_url, default_headers=tag, max_retries=0)


def test_an_image(client: openai.OpenAI, arrived: Callable[[], Any]) -> None:
    made = client.images.generate(model="openai/gpt-image-1", prompt="A red cat.", size="1024x1024")
    assert made.data and made.data[0].b64_json
    assert made.usage and made.usage.output_tokens == 272
    assert arrived()[0]["body"] == {
        "model": "gpt-image-1",
        "prompt": "A red cat.",
        "size": "1024x1024",
    }
    edited = client.images.edit(
        model="openai/gpt-image-1", image=("cat.png", b"\x89PNG"), prompt="Make it blue."
    )
    assert edited.data
    sent = arrived()[1]["raw"]
    assert 'name="model"\r\n\r\ngpt-image-1\r\n' in sent
    assert "Make it blue." in sent


def test_speech_comes_as_bytes(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="openai/gpt-4o-mini-tts", voice="alloy", input="Hello."
    ) as speech:
        assert speech.headers["content-type"] == "audio/mpeg"
        assert speech.read() == b"".join(SPEECH)


@pytest.mark.parametrize("order", ["model first", "file first"])
def test_a_transcription(
    client: openai.OpenAI, caller: httpx.Client, order: str, arrived: Callable[[], Any]
) -> None:
    recording = b"RIFF\r\n\r\n--" * 2000
    if order == "model first":
        said = client.audio.transcriptions.create(
            model="openai/gpt-4o-transcribe", file=("a.wav", recording)
        )
        text = said.text
    else:
        files: Any = [("file", ("a.wav", recording)), ("model", (None, "openai/gpt-4o-transcribe"))]
        text = caller.post("/v1/audio/transcriptions", files=files).json()["text"]
    assert text == f"gpt-4o-transcribe heard {len(recording)} bytes"
    assert arrived()[0]["headers"]["content-length"] == str(len(arrived()[0]["raw"]))


def test_a_translation_and_a_variation(caller: httpx.Client, arrived: Callable[[], Any]) -> None:
    files: Any = [("model", (None, "openai/whisper-1")), ("file", ("a.wav", b"RIFF"))]
    said = caller.post("/v1/audio/translations", files=files)
    assert said.json() == {"text": "whisper-1 heard 4 bytes"}
    files = [("model", (None, "openai/dall-e-2")), ("image", ("cat.png", b"\x89PNG"))]
    made = caller.post("/v1/images/variations", files=files)
    assert made.status_code == 200, made.text
    assert 'name="model"\r\n\r\ndall-e-2\r\n' in arrived()[1]["raw"]


def test_moderation(client: openai.OpenAI, arrived: Callable[[], Any]) -> None:
    assert client.moderations.create(input="x").results[0].flagged is False
    named = client.moderations.create(input="x", model="openai/omni-moderation-latest")
    assert named.model == "omni-moderation-latest"
    assert [entry["body"].get("model") for entry in arrived()] == [None, "omni-moderation-latest"]


def test_reranking(caller: httpx.Client) -> None:
    body = {
        "model": "huggingface/BAAI/bge-reranker-v2-m3",
        "query": "red cat",
        "documents": ["a dog", "a red cat"],
    }
    answer = caller.post("/v1/rerank", json=body)
    assert answer.status_code == 200, answer.text
    assert [each["index"] for each in answer.json()["results"]] == [1, 0]
    assert answer.headers["x-proxy-provider"] == "huggingface"


def test_completions(client: openai.OpenAI, caller: httpx.Client) -> None:
    done = client.completions.create(model="openai/gpt-3.5-turbo-instruct", prompt="Once upon")
    assert done.choices[0].text
    with pytest.raises(openai.BadRequestError) as missing:
        client.completions.with_raw_response.create(model="", prompt="x")
    assert missing.value.param == "model"
    with pytest.raises(openai.NotFoundError) as unknown:
        client.completions.create(model="no-such-model", prompt="x")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as tier:
        client.completions.create(model="fast", prompt="x")
    assert "tier" in tier.value.message


def test_an_alias_stands_for_its_first_target_that_has_the_endpoint(
    client: openai.OpenAI, caller: httpx.Client, arrived: Callable[[], Any]
) -> None:
    targets = ["gemini/gemini-3-pro-image", "openai/gpt-image-1", "openai/dall-e-3"]
    body = {"targets": [{"model": model} for model in targets]}
    admin = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    made = caller.put("/admin/aliases/e2e-pics", json=body, headers=admin)
    assert made.status_code == 201, made.text
    image = client.images.generate(model="custom/e2e-pics", prompt="A red cat.")
    assert image.data
    edited = client.images.edit(model="e2e-pics", image=("cat.png", b"\x89PNG"), prompt="Blue.")
    assert edited.data
    assert arrived()[0]["body"]["model"] == "gpt-image-1"
    assert 'name="model"\r\n\r\ngpt-image-1\r\n' in arrived()[1]["raw"]
    assert caller.delete("/admin/aliases/e2e-pics", headers=admin).status_code == 204

"""The SDKs of the agents' dialects, unchanged but for their base URL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.e2e.agents.node_client import NodeClient


@pytest.fixture(scope="session")
def claude(open_url: str) -> Iterator[Anthropic]:
    with Anthropic(base_url=open_url, api_key="unused", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def sdk(open_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{open_url}/v1", api_key="unused", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def ai_sdk(open_url: str) -> Iterator[NodeClient]:
    client = NodeClient(Path(__file__).parent / "ai_sdk.mjs", open_url)
    yield client
    client.stop()

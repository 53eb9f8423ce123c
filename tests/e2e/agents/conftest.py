"""The SDKs of the agents' dialects, unchanged but for their base URL."""

from collections.abc import Iterator

import pytest
from anthropic import Anthropic
from openai import OpenAI


@pytest.fixture(scope="session")
def claude(open_url: str) -> Iterator[Anthropic]:
    with Anthropic(base_url=open_url, api_key="unused", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def sdk(open_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{open_url}/v1", api_key="unused", max_retries=0, timeout=60) as client:
        yield client

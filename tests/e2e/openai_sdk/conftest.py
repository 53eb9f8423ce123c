"""The official OpenAI SDK, unchanged but for its base URL."""

from collections.abc import Iterator

import pytest
from openai import OpenAI


@pytest.fixture(scope="session")
def sdk(open_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{open_url}/v1", api_key="unused", max_retries=0, timeout=60) as client:
        yield client

"""The coding agents from npm, unchanged, in front of the real Worker.

Each test has a home and a folder to work in of its own; nothing of the machine's is read.
"""

from pathlib import Path

import pytest

from tests.agents.agents import PACKAGES, Agent, ClaudeCode, Codex, CodexWithModels
from tests.e2e.conftest import deployments, healed, open_url, proxy, received, script, upstream

__all__ = ["deployments", "healed", "open_url", "proxy", "received", "script", "upstream"]


@pytest.fixture(params=["claude", "codex", "codex_with_models"])
def agent(request: pytest.FixtureRequest, open_url: str) -> Agent:
    """Each of the agents."""
    found: Agent = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def claude(folder: Path, open_url: str) -> ClaudeCode:
    return ClaudeCode(folder, open_url)


@pytest.fixture
def codex(folder: Path, open_url: str) -> Codex:
    return Codex(folder, open_url)


@pytest.fixture
def codex_with_models(folder: Path, open_url: str) -> CodexWithModels:
    return CodexWithModels(folder, open_url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an agent lives, if the agents are there."""
    if not PACKAGES.exists():
        pytest.skip("python3 -m tools.setup agents installs Claude Code and Codex")
    return tmp_path

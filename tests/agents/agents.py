"""How each agent is set up and started: as docs/agents.md says, but with no questions."""

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, ClassVar

import httpx

from tools.layout import AGENTS

TIMEOUT_SECONDS = 120
PACKAGES = AGENTS / "node_modules"
_CODEX_CONFIG = """\
model = "smart"
model_provider = "proxy"

[model_providers.proxy]
name = "AI proxy"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "PROXY_KEY"
"""


@dataclass(frozen=True)
class Run:
    """A finished run: the exit status, the last answer, and what else the agent wrote."""

    status: int
    said: str
    log: str


class Agent(ABC):
    """An agent in a folder of its own: `home` is its settings and sessions, `work` its project."""

    result: ClassVar[str]
    """What the model is given when a file has been made."""

    def __init__(self, folder: Path, url: str) -> None:
        self.home = folder / "home"
        self.work = folder / "work"
        self.url = url
        self.home.mkdir()
        self.work.mkdir()

    @abstractmethod
    def ask(self, prompt: str, model: str, *, again: bool = False) -> Run:
        """Runs one prompt to its end. again: in the session of the prompt before."""

    @abstractmethod
    def writes(self, name: str, text: str) -> dict[str, Any]:
        """The call that makes a file of the project."""

    def _run(self, command: list[str], settings: Mapping[str, str]) -> Run:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        ended = subprocess.run(
            command,
            cwd=self.work,
            env={**kept, "HOME": str(self.home), **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        return Run(ended.returncode, ended.stdout.strip(), ended.stderr)


class ClaudeCode(Agent):
    """Claude Code's native program; its package links to it in a script that setup does not run."""

    result = "File created successfully"

    def ask(self, prompt: str, model: str, *, again: bool = False) -> Run:
        [program] = PACKAGES.glob("@anthropic-ai/claude-code-*/claude")
        options = ["--model", model, "--permission-mode", "acceptEdits", *(["-c"] if again else [])]
        settings = {
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_AUTH_TOKEN": "unused",
            "ANTHROPIC_API_KEY": "",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        return self._run([str(program), *options, "-p", prompt], settings)

    def writes(self, name: str, text: str) -> dict[str, Any]:
        return {
            "name": "Write",
            "arguments": {"file_path": str(self.work / name), "content": text},
        }


class Codex(Agent):
    """Codex, which may do everything: its sandbox needs rights that a test may not have. It knows
    nothing of the proxy's models and works by commands."""

    result = "Process exited with code 0"

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        self.settings = self.home / ".codex"
        self.settings.mkdir()
        (self.settings / "config.toml").write_text(_CODEX_CONFIG.format(url=url), "utf-8")

    def ask(self, prompt: str, model: str, *, again: bool = False) -> Run:
        options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        command = ["exec", *(["resume", "--last"] if again else []), *options, "--model", model]
        settings = {"CODEX_HOME": str(self.settings), "PROXY_KEY": "unused"}
        return self._run([str(PACKAGES / ".bin" / "codex"), *command, prompt], settings)

    def writes(self, name: str, text: str) -> dict[str, Any]:
        command = f"printf %s {quote(text)} > {quote(name)}"
        return {"name": "exec_command", "arguments": {"cmd": command}}


class CodexWithModels(Codex):
    """Codex with the proxy's list of models: it offers its custom tool too."""

    result = "Success. Updated the following files"

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        models = httpx.get(f"{url}/v1/models?client_version=0").content
        (self.settings / "proxy-models.json").write_bytes(models)
        config = self.settings / "config.toml"
        config.write_text('model_catalog_json = "proxy-models.json"\n' + config.read_text())

    def writes(self, name: str, text: str) -> dict[str, Any]:
        lines = "".join(f"+{line}\n" for line in text.splitlines())
        patch = f"*** Begin Patch\n*** Add File: {name}\n{lines}*** End Patch\n"
        return {"name": "apply_patch", "arguments": {"input": patch}}

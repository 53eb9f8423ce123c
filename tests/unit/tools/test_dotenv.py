"""What is said of .env before the Worker starts."""

from pathlib import Path
from typing import get_type_hints

import pytest
from msgspec import Struct

from proxy.core.settings import ProviderAccess, ProviderLimits, Settings, name_variable
from proxy.core.settings import values as table
from proxy.providers.catalog import Catalog
from tools.dotenv import PROVIDER_ENDS, check, list_settings


def _names(*sections: type[Struct]) -> set[str]:
    return {setting.name for of in sections for setting, _ in table.list_settings(of).values()}


def test_every_setting_of_the_worker_is_known() -> None:
    names = _names(*get_type_hints(Settings).values())
    ends = _names(ProviderAccess, ProviderLimits)
    names |= {name_variable(name, end) for name in Catalog.load().providers for end in ends}
    assert list_settings() == names
    assert set(PROVIDER_ENDS) == ends


@pytest.mark.parametrize(
    ("line", "nearest"),
    [
        ("OPENAI_KEY=sk-1", "OPENAI_API_KEY"),
        ("OPEN_AI_KEY=sk-1", "OPENAI_API_KEY"),
        ("OPEN_AI_API_KEY=sk-1", "OPENAI_API_KEY"),
        ("openai_api_key=sk-1", "OPENAI_API_KEY"),
        ("GROQ_KEY=x", "GROQ_API_KEY"),
        ("GEMINI_APIKEY = x", "GEMINI_API_KEY"),
        ("GOOGLE_API_KEY=x", "GEMINI_API_KEY"),
        ("HF_TOKEN=x", "HUGGINGFACE_API_KEY"),
        ("FALLBACK_CHAN=groq", "FALLBACK_CHAIN"),
        ("export ADMIN_TOKN=x", "ADMIN_TOKEN"),
        ("CACHE_TLL=60", "CACHE_TTL"),
        ("OPENAI_BASEURL=http://x", "OPENAI_BASE_URL"),
    ],
)
def test_a_misspelt_name_is_told_with_the_nearest(tmp_path: Path, line: str, nearest: str) -> None:
    (tmp_path / ".env").write_text(f"# mine\n\n{line}\n")
    [warning] = check(tmp_path).warnings
    assert warning.startswith(".env, line 3: ")
    assert warning.endswith(f"Did you mean {nearest}?")
    assert "sk-1" not in warning


def test_a_line_that_is_none_is_told_without_its_text(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY sk-secret\nGROQ_API_KEY=x\n")
    assert check(tmp_path).warnings == [".env, line 1 has no NAME=value and is ignored."]


def test_what_is_right_or_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    text = """
# a comment
export OPENAI_API_KEY="sk-1"
GROQ_API_KEY='two
OPENAI_KEY=lines'
CLOUDFLARE_API_TOKEN=x
OPENAI_API_KEY_2=x
OPENAI_API_KEY_99=x
MY_OWN_THING=1
WORKERS_AI_RATE_LIMIT_BURST=5
"""
    (tmp_path / ".env").write_text(text)
    assert check(tmp_path).warnings == []


def test_every_file_that_wrangler_reads(tmp_path: Path) -> None:
    for name in (".env.development", ".dev.vars", ".env.staging"):
        (tmp_path / name).write_text("OPENAI_KEY=x\n")
    said = [warning.partition(",")[0] for warning in check(tmp_path).warnings]
    assert said == [".env.development", ".dev.vars"]


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("OPENAI_API_KEY=x", True),
        ("LOCAL_BASE_URL=http://127.0.0.1:1/v1", True),
        ("OPENAI_API_KEY_2=x", True),
        ("OPENAI_API_KEY=", False),
        ("#OPENAI_API_KEY=x", False),
        ("PROXY_API_KEY=x", False),
        ("ADMIN_TOKEN=x", False),
    ],
)
def test_whether_a_provider_is_there(tmp_path: Path, line: str, there: bool) -> None:
    (tmp_path / ".env").write_text(f"{line}\n")
    assert check(tmp_path).has_provider is there
    assert not check(tmp_path / "nowhere").has_provider


def test_the_settings_of_servers_that_are_named_are_known(tmp_path: Path) -> None:
    lines = "LOCAL_PROVIDERS=lab, gpu-2\nLAB_BASE_URL=http://127.0.0.1:1/v1\nGPU_2_API_KEY=k\n"
    (tmp_path / ".env").write_text(lines + "GPU_2_BASE_UR=x\n")
    findings = check(tmp_path)
    assert findings.has_provider
    [warning] = findings.warnings
    assert "line 4" in warning and warning.endswith("Did you mean GPU_2_BASE_URL?")

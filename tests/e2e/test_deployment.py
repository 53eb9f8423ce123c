"""What can be shown offline of a deployment: its script, its dry run, its snapshot."""

import gzip
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.conftest import ADMIN_TOKEN, CALLER_KEY
from tools import runtime
from tools.layout import NODE_MODULES, ROOT

SCRIPT = ROOT / "validate-deployment.sh"


def validate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", SCRIPT, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_open_deployment_is_valid(open_url: str) -> None:
    result = validate(open_url)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "FAIL" not in result.stdout


def test_the_keyed_deployment_is_valid(keyed_url: str) -> None:
    result = validate(keyed_url, "--key", CALLER_KEY, "--admin", ADMIN_TOKEN)
    assert result.returncode == 0, result.stdout + result.stderr
    assert CALLER_KEY not in result.stdout


def test_what_is_wrong_is_the_exit_status(keyed_url: str) -> None:
    result = validate(keyed_url, "--key", "wrong")
    failed = next(line for line in result.stdout.splitlines() if line.startswith("FAIL"))
    assert result.returncode == int(failed.split()[1])


def test_nobody_there(tmp_path: Path) -> None:
    result = validate(f"http://127.0.0.1:{runtime.free_port()}")
    assert result.returncode == 1
    assert "FAIL   1  GET /health" in result.stdout


def test_wrong_usage() -> None:
    assert validate().returncode == 255
    assert validate("http://a", "--key").returncode == 255
    assert validate("http://a", "--nonsense").returncode == 255


def test_every_environment_can_be_deployed(tmp_path: Path) -> None:
    """All at once: most of the time wrangler only starts."""

    def deploy(environment: str) -> None:
        upload = tmp_path / (environment or "top")
        command = [NODE_MODULES / ".bin" / "wrangler", "deploy", "--dry-run", f"--outdir={upload}"]
        result = subprocess.run(
            [*command, f"--env={environment}"],
            cwd=ROOT,
            env=runtime.wrangler_environment(tmp_path / "state"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert list(upload.rglob("catalog.json"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deploy, ("", "development", "staging", "production")))


def test_the_memory_snapshot_is_taken_and_loaded() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tools.snapshot"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_worker_is_small_when_compressed() -> None:
    """The weaker bound: as they lie, the sources are over 300 KB (docs/architecture.md)."""
    sources = [path for path in (ROOT / "src").rglob("*") if path.suffix in (".py", ".json")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in sources) < 300 * 1024

"""What can be shown offline of a deployment: its script, its dry run, its snapshot."""

import os
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY
from tools import runtime
from tools.layout import NODE_MODULES, ROOT
from tools.pack import without_about, without_prose

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


def test_a_deployment_that_keeps_no_response_must_keep_none(open_url: str) -> None:
    result = validate(open_url, "--no-store")
    assert "no response is kept: status 200 instead of 404" in result.stdout
    assert result.stdout.count("FAIL") == 1
    assert result.returncode


def test_what_is_wrong_is_the_exit_status(keyed_url: str) -> None:
    result = validate(keyed_url, "--key", "wrong")
    failed = next(line for line in result.stdout.splitlines() if line.startswith("FAIL"))
    assert result.returncode == int(failed.split()[1])


def test_nobody_there(tmp_path: Path) -> None:
    result = validate(f"http://127.0.0.1:{runtime.free_port()}")
    assert result.returncode == 1
    assert "FAIL   1  GET /health" in result.stdout
    assert len(result.stdout.splitlines()) == 1
    assert "Is the address right" in result.stderr


def test_wrong_usage() -> None:
    assert validate().returncode == 255
    assert validate("http://a", "--key").returncode == 255
    assert validate("http://a", "--nonsense").returncode == 255


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What would be uploaded of each environment. All at once: mostly wrangler only starts."""
    place = tmp_path_factory.mktemp("uploads")

    def deploy(environment: str) -> Path:
        upload = place / (environment or "top")
        wrangler = NODE_MODULES / ".bin" / "wrangler"
        result = subprocess.run(
            [wrangler, "deploy", "--dry-run", f"--outdir={upload}", f"--env={environment}"],
            cwd=ROOT,
            env=runtime.wrangler_environment(place / "state"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return upload

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(deploy, ("", "development", "staging", "production")))


def test_every_environment_can_be_deployed(uploads: list[Path]) -> None:
    for upload in uploads:
        assert (upload / "entry.py").read_bytes() == (ROOT / "src" / "entry.py").read_bytes()
        with zipfile.ZipFile(upload / "proxy.zip") as packed:
            catalog = "proxy/providers/catalog.json"
            assert packed.read(catalog) == without_about((ROOT / "src" / catalog).read_bytes())
            app = (ROOT / "src/proxy/api/app.py").read_bytes()
            assert packed.read("proxy/api/app.py") == without_prose(app)


def test_a_worker_without_its_packages_is_not_deployed(tmp_path: Path) -> None:
    """A clone after `npm ci` alone, on a machine that reaches no index of Python packages."""
    clone = tmp_path / "clone"
    for name in ("src", "public", "tools", "locks"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "wrangler.toml", clone)
    (clone / "node_modules").symlink_to(NODE_MODULES)
    nowhere = {"PIP_INDEX_URL": f"http://127.0.0.1:{runtime.free_port()}", "PIP_RETRIES": "0"}
    result = subprocess.run(
        [NODE_MODULES / ".bin" / "wrangler", "deploy", "--dry-run", "--env=production"],
        cwd=clone,
        env=runtime.wrangler_environment(tmp_path / "state") | nowhere,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = result.stdout + result.stderr
    assert result.returncode != 0, said
    assert "The Worker can't be built." in said
    assert "msgspec" in said
    assert "Traceback" not in said


def test_the_worker_is_under_560_kb(uploads: list[Path]) -> None:
    """All that is uploaded but the vendored packages, as it lies."""
    for upload in uploads:
        files = [path for path in upload.rglob("*") if path.is_file()]
        own = [path for path in files if path.relative_to(upload).parts[0] != "python_modules"]
        assert len(own) < len(files)
        assert sum(path.stat().st_size for path in own) < 560_000


def test_the_memory_snapshot_is_taken_and_loaded() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tools.offline.snapshot"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr

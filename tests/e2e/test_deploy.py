"""`make deploy` and the button of the README, by the real wrangler at a stand-in for an account."""

import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloudflare.account import ACCOUNT, TOKEN, Account, Worker, open_account
from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY
from tools import deploy, runtime
from tools.layout import NODE_MODULES, ROOT

STAGING = "ai-edge-proxy-staging"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    with open_account() as account:
        environment = {
            **runtime.wrangler_environment(tmp_path / "state"),
            "CLOUDFLARE_API_BASE_URL": account.url,
            "CLOUDFLARE_API_TOKEN": TOKEN,
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield account


def write_secrets(folder: Path, **more: str) -> None:
    lines = {"ADMIN_TOKEN": ADMIN_TOKEN, "PROXY_API_KEY": CALLER_KEY, "GROQ_API_KEY": "", **more}
    text = "\n".join(f"{name}='{value}'" for name, value in lines.items())
    (folder / ".env.staging").write_text(text)


def test_a_first_deployment(
    keyed_url: str, account: Account, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the account lacks is created, the secrets are uploaded, the deployment is checked."""
    write_secrets(tmp_path, OPENAI_API_KEY="sk-$HOME-${PATH}-a")
    status = deploy.run("staging", keyed_url, tmp_path)
    said = "".join(capfd.readouterr())
    assert status == 0, said
    worker = account.workers[STAGING]
    assert worker.secrets == {
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "PROXY_API_KEY": CALLER_KEY,
        "OPENAI_API_KEY": "sk-$HOME-${PATH}-a",
    }
    assert list(account.namespaces.values()) == [f"{STAGING}-cache-kv"]
    assert account.buckets == [f"{STAGING}-cache-r2"]
    assert worker.migration == runtime.load_config(ROOT / "wrangler.toml")["migrations"][-1]["tag"]
    assert {"entry.py", "proxy.zip"} <= set(worker.modules)
    assert worker.observability == {"enabled": True, "redact_query_string": True}
    assert worker.schedules == [{"cron": "*/5 * * * *"}]
    assert "checks passed" in said
    assert f"Version {worker.versions[-1]} of staging runs." in said
    assert "npx wrangler delete --env staging" in said
    assert not any(secret in said for secret in worker.secrets.values())


def test_a_deployment_that_does_not_answer_can_be_taken_back(
    account: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_secrets(tmp_path)
    deployed = deploy.deploy("staging", deploy.read_secrets("staging", tmp_path))
    [good] = account.workers[STAGING].versions
    assert deployed == deploy.Deployed(f"https://{STAGING}.example.workers.dev", good)
    monkeypatch.setattr(deploy, "WAIT_SECONDS", 0.5)
    nowhere = f"http://127.0.0.1:{runtime.free_port()}"
    with pytest.raises(deploy.DeployError, match=f"rollback {good} --env staging"):
        deploy.run("staging", nowhere, tmp_path)
    assert account.workers[STAGING].versions[-1] != good
    assert account.buckets == [f"{STAGING}-cache-r2"]
    wrangler = str(NODE_MODULES / ".bin" / "wrangler")
    command = [wrangler, "rollback", good, "--env", "staging", "--yes"]
    subprocess.run(command, cwd=ROOT, check=True)
    assert account.workers[STAGING].versions[-1] == good
    capfd.readouterr()


def test_a_deployment_that_fails_its_checks_says_so(
    open_url: str, account: Account, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The address is another one than was deployed: it keeps responses."""
    write_secrets(tmp_path, RESPONSES_STORE="off")
    assert deploy.run("staging", open_url, tmp_path) > 0
    said = "".join(capfd.readouterr())
    assert "no response is kept: status 200 instead of 404" in said
    assert "of staging is not as it should be." in said
    assert "npx wrangler delete --env staging" in said


def test_missing_secrets_are_made_or_named(
    account: Account, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = deploy.read_secrets("staging", tmp_path)
    assert list(made) == ["ADMIN_TOKEN"]
    assert re.fullmatch("[0-9a-f]{48}", made["ADMIN_TOKEN"])
    path = tmp_path / ".env.staging"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made["ADMIN_TOKEN"] not in "".join(capfd.readouterr())
    assert deploy.read_secrets("staging", tmp_path) == made
    path.write_text("GROQ_API_KY=a\nENVIRONMENT=production\nADMIN_TOKEN=\n")
    with pytest.raises(deploy.DeployError, match="lacks ADMIN_TOKEN"):
        deploy.run("staging", None, tmp_path)
    assert "Did you mean GROQ_API_KEY?" in capfd.readouterr().err
    path.write_text("ENVIRONMENT=production\nADMIN_TOKEN=a\n")
    with pytest.raises(deploy.DeployError, match=r"ENVIRONMENT does not belong in \.env\.staging"):
        deploy.run("staging", None, tmp_path)
    for name in ("development", "prod", ""):
        with pytest.raises(deploy.DeployError, match="choose one of staging, production"):
            deploy.run(name, None, tmp_path)
    assert account.workers == {}


def test_the_button_deploys_once_its_secret_is_there(account: Account) -> None:
    """It runs `npm run deploy` for a Worker that has the secrets which it asked for."""
    command = ["npm", "run", "deploy"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode
    assert "required secrets have not been set: ADMIN_TOKEN" in result.stdout + result.stderr
    account.workers["ai-edge-proxy"] = Worker(secrets={"ADMIN_TOKEN": "a"})
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert {"entry.py", "proxy.zip"} <= set(account.workers["ai-edge-proxy"].modules)
    assert account.buckets == ["ai-edge-proxy-cache-r2"]

"""Deploy an environment, check it, and tell how to go back: `make deploy ENV=staging`.

    python3 -m tools.deploy staging [URL]

Every line of `.env.ENV` becomes a secret of that environment's Worker; where the file is missing it
is made, with an ADMIN_TOKEN. wrangler creates the KV namespace, the R2 bucket and the Durable
Objects that the account lacks. Then validate-deployment.sh checks URL: the address that wrangler
prints, unless another one is given (a domain of your own). The exit status is 0 where every check
passed.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tools import dotenv, runtime
from tools.layout import NODE_MODULES, ROOT, WRANGLER_TOML
from tools.setup import SetupError, install

WAIT_SECONDS = 60.0
"""For the new version to answer everywhere."""
_READ_ENV = (
    "process.stdout.write(JSON.stringify("
    "require('node:util').parseEnv(require('node:fs').readFileSync(process.argv[1], 'utf8'))))"
)
_ADDRESS = re.compile(r"https://\S+\.workers\.dev")
_VERSION = re.compile(r"Current Version ID: (\S+)")
_NEW = """\
# Secrets of the environment {name}: `make deploy ENV={name}` uploads every line. git ignores them.
# All names: docs/configuration.md. Add a provider's key, as GROQ_API_KEY; Workers AI needs none.
ADMIN_TOKEN={token}
"""


class DeployError(Exception):
    """The deployment can't go on; the message says what to do."""


class Deployed(NamedTuple):
    """What wrangler printed: where the Worker answers, and its version; empty: it did not say."""

    url: str
    version: str


def list_environments() -> list[str]:
    """The environments that can be deployed: `development` would be open to everybody."""
    return [name for name in runtime.load_config(WRANGLER_TOML)["env"] if name != "development"]


def read_secrets(name: str, folder: Path = ROOT) -> dict[str, str]:
    """The secrets of an environment, from `.env.NAME`, which is made where it is missing.

    Node reads the file, by the rules of dotenv: wrangler's own reader would put variables of this
    machine in the place of `$NAME`. Raises DeployError.
    """
    path = folder / f".env.{name}"
    if not path.exists():
        path.touch(0o600)
        path.write_text(_NEW.format(name=name, token=secrets.token_hex(24)), "utf-8")
        print(f"{path.name} was missing: it is made, with a new ADMIN_TOKEN.", flush=True)
    for warning in dotenv.check(folder, [path.name]).warnings:
        print(warning, file=sys.stderr)
    node = [str(NODE_MODULES / ".bin" / "node"), "-e", _READ_ENV, str(path)]
    read: dict[str, str] = json.loads(subprocess.run(node, capture_output=True, check=True).stdout)
    found = {key: value for key, value in read.items() if value}
    required = runtime.load_config(WRANGLER_TOML)["env"][name]["secrets"]["required"]
    if missing := [key for key in required if key not in found]:
        raise DeployError(f"{path.name} lacks {', '.join(missing)}.")
    if "ENVIRONMENT" in found:
        raise DeployError(f"ENVIRONMENT does not belong in {path.name}: wrangler.toml says it.")
    return found


def find_version(name: str) -> str:
    """The version that an environment runs now; empty: none."""
    command = _wrangler("deployments", "status", "--json", f"--env={name}")
    result = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, check=False)
    if result.returncode:
        return ""
    [version] = json.loads(result.stdout)["versions"][:1]
    return str(version["version_id"])


def deploy(name: str, values: Mapping[str, str]) -> Deployed:
    """Deploy with these secrets; wrangler's words are shown as they come. Raises DeployError."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "secrets.json"
        path.touch(0o600)
        path.write_text(json.dumps(values), "utf-8")
        output = _show(_wrangler("deploy", f"--env={name}", f"--secrets-file={path}"))
    address, version = _ADDRESS.search(output), _VERSION.search(output)
    return Deployed(address[0] if address else "", version[1] if version else "")


def wait_until_ready(url: str) -> None:
    """Return once the deployment answers. Raises DeployError."""
    deadline = time.monotonic() + WAIT_SECONDS
    fault = ""
    print(f"Waiting for {url} to answer ...", flush=True)
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=10).close()
        except (OSError, ValueError) as error:  # HTTPError and URLError are an OSError
            fault = str(error)
            time.sleep(1)
        else:
            return
    raise DeployError(f"{url}/health does not answer: {fault}")


def validate(url: str, values: Mapping[str, str]) -> int:
    """The exit status of validate-deployment.sh, which reads the keys from its environment."""
    keys = {"KEY": values.get("PROXY_API_KEY", ""), "ADMIN": values["ADMIN_TOKEN"]}
    command = ["sh", str(ROOT / "validate-deployment.sh"), url]
    if values.get("RESPONSES_STORE") == "off":
        command.append("--no-store")
    return subprocess.run(command, env={**os.environ, **keys}, check=False).returncode


def explain_return(name: str, before: str) -> str:
    """How to undo a deployment. before: the version that ran until then; empty: none."""
    if before:
        return f"To go back: npx wrangler rollback {before} --env {name}"
    return f"It is the first version. To take it away: npx wrangler delete --env {name}"


def run(name: str, url: str | None, folder: Path = ROOT) -> int:
    """Deploy an environment with the secrets that lie in `folder`, and check it: the exit status.
    Raises DeployError, SetupError."""
    if name not in list_environments():
        raise DeployError(f"ENV={name}: choose one of {', '.join(list_environments())}.")
    install(["node"])
    values = read_secrets(name, folder)
    before = find_version(name)
    deployed = deploy(name, values)
    address = (url or deployed.url).rstrip("/")
    back = explain_return(name, before)
    if not address:
        raise DeployError(f"wrangler named no address to check. Say it: URL=https://…\n{back}")
    try:
        wait_until_ready(address)
    except DeployError as error:
        raise DeployError(f"{error}\n{back}") from None
    status = validate(address, values)
    state = "is not as it should be" if status else "runs"
    print(f"\nVersion {deployed.version} of {name} {state}.\n{back}", flush=True)
    if not status:
        print(f"The dashboard: {address}/dashboard, with ADMIN_TOKEN of .env.{name}", flush=True)
    return status


def _wrangler(*arguments: str) -> list[str | Path]:
    return [NODE_MODULES / ".bin" / "wrangler", *arguments]


def _environment() -> dict[str, str]:
    """The user's own, where wrangler finds its login, with the Node that wrangler needs."""
    return {**os.environ, "PATH": f"{NODE_MODULES / '.bin'}{os.pathsep}{os.environ['PATH']}"}


def _show(command: Sequence[str | Path]) -> str:
    """Show what a command prints, and return it. Raises DeployError where it fails."""
    output = ""
    with subprocess.Popen(
        command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            output += line
    if process.returncode:
        raise DeployError("wrangler did not deploy: its message is above.")
    return output


def main(arguments: Sequence[str]) -> int:
    """Return the exit status; a failure is told with what to do."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not 1 <= len(arguments) <= 2:
        print("usage: python3 -m tools.deploy ENV [URL]", file=sys.stderr)
        return 2
    try:
        return run(arguments[0], arguments[1] if arguments[1:] else None)
    except (DeployError, SetupError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

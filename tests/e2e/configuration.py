"""wrangler.toml made fit for a test."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tools.assets import assemble
from tools.layout import PYTHON_MODULES, ROOT, WRANGLER_TOML
from tools.offline import snapshot
from tools.runtime import load_config


@cache
def build() -> snapshot.Kept:
    """Build the Worker and its static files once: no source changes while tests run."""
    assemble()
    return snapshot.keep()


def derive_config(
    directory: Path,
    *,
    env: str = "development",
    vars: Mapping[str, str] | None = None,
    ai_service: Mapping[str, str] | None = None,
) -> Path:
    """Write a configuration for a test into `directory` and return its path.

    It is wrangler.toml with `env` applied, so it is started with `env=None`. `vars` are added to
    that environment's own. `ai_service` (`{"service": ..., "entrypoint": ...}`) puts a service
    binding in the place of the AI binding, which works on no machine without an account.
    The project's .env does not reach a Worker started from here. wrangler would run the build of
    wrangler.toml elsewhere than in the project, and for each deployment anew.
    """
    base = load_config(WRANGLER_TOML)
    environments = base.pop("env")
    config = {**base, **environments[env]}
    del config["build"]
    config.pop("secrets", None)  # a test hands its secrets over as vars
    build()
    config["main"] = str(ROOT / config["main"])
    config["assets"]["directory"] = str(ROOT / config["assets"]["directory"])
    config["vars"] = {**config["vars"], **(vars or {})}
    if ai_service is not None:
        config["services"] = [*config.get("services", []), {**config.pop("ai"), **ai_service}]
    (directory / "python_modules").symlink_to(PYTHON_MODULES)  # looked for beside the configuration
    path = directory / "wrangler.json"
    path.write_text(json.dumps(config, indent=2), "utf-8")
    path.chmod(0o600)
    return path

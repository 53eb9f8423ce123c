"""The kinds of deployments under test, and what starts and ends them."""

import json
import shutil
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.e2e.configuration import build, derive_config
from tests.unit.serving.stage import make_env
from tests.upstream import Upstream
from tools import runtime
from tools.layout import NODE_MODULES, ROOT
from tools.runtime import load_config

KEYS = {
    f"{name}_API_KEY": f"test-{name.lower()}-key"
    for name in (
        "GEMINI",
        "DEEPSEEK",
        "GROQ",
        "OPENAI",
        "ANTHROPIC",
        "OPENROUTER",
        "HUGGINGFACE",
    )
}
PATHS = {
    "GEMINI": "/gemini/v1beta",
    "DEEPSEEK": "/deepseek",
    "GROQ": "/groq/openai/v1",
    "OPENAI": "/openai/v1",
    "ANTHROPIC": "/anthropic/v1",
    "OPENROUTER": "/openrouter/api/v1",
    "HUGGINGFACE": "/huggingface/v1",
    "LOCAL": "/local/v1",
}
OPENAI_KEYS = [KEYS["OPENAI_API_KEY"], *(f"{KEYS['OPENAI_API_KEY']}-{n}" for n in (2, 3))]
"""A pool; the upstream takes a provider's key with any number behind it."""
CALLER_KEY = "a-callers-key-0123456789"
ADMIN_TOKEN = "the-admin-token-0123456789"
METRICS_TOKEN = "the-metrics-token-0123456789"

ROOMY = {
    "RATE_LIMIT_BURST": "1000000",
    "RATE_LIMIT_PER_HOUR": "10000000",
    "RATE_LIMIT_ADAPTIVE": "off",
    "RETRY_ATTEMPTS": "1",
}
"""For tests of other things, which share their users and their providers."""

DAY = {"CATALOG_DATE": "2026-11-29"}
"""Which models answer and what they cost must not depend on the day of the test."""

PATIENT = {"CACHE_TIMEOUT_MS": "10000"}
"""A machine that is busy makes no miss."""

DEPLOYMENTS: dict[str, tuple[str, dict[str, str]]] = {
    "open": ("development", {"IDLE_TIMEOUT_MS": "1500", "CORS_ORIGINS": "https://app.example"}),
    "keyed": (
        "development",
        {
            "PROXY_API_KEY": CALLER_KEY,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "METRICS_TOKEN": METRICS_TOKEN,
        },
    ),
    "described": ("development", {"PROXY_API_KEY": CALLER_KEY, "ADMIN_TOKEN": ADMIN_TOKEN}),
    "granted": ("development", {"ACCESS_ROLES": "group:ops=admin", "ACCESS_AUD": "f" * 64}),
    "closed": ("production", {}),
    "coalescing": ("development", {"CACHE_COALESCE": "on"}),
    "limited": (
        "development",
        {
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "RATE_LIMIT_BURST": "100",
            "RATE_LIMIT_PER_HOUR": "100",
            "RATE_LIMIT_ADAPTIVE": "on",
            "LIMITER_FORGET_SECONDS": "2",
        },
    ),
    "routing": (
        "development",
        {
            "FALLBACK_CHAIN": "openai,groq,deepseek",
            "RETRY_ATTEMPTS": "2",
            "ON_CLIENT_GONE": "finish",
        },
    ),
    "canary": (
        "development",
        {
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "FALLBACK_CHAIN": "openai,groq,deepseek",
            "DISABLED_PROVIDERS": "gemini,anthropic,openrouter,huggingface,local,workers-ai",
            "ROUTING_STRATEGY": "weighted",
            "ROUTING_WEIGHTS": "openai=80, groq=20",
            "ROUTING_STICKY": "on",
            "HEDGE_AFTER_MS": "1500",
            "SUBREQUEST_LIMIT": "50",
        },
    ),
    "hasty": ("development", {"BREAKER_SLOW_MS": "300", "FIRST_BYTE_TIMEOUT_MS": "1000"}),
    "memory": ("development", {"CACHE_TTL": "0", "MAX_BODY_BYTES": str(64 * 1024 * 1024)}),
    "restarted": ("development", {"CACHE_SCOPE": "shared"} | PATIENT),
    "kvless": ("development", PATIENT | {"RESPONSES_STORE": "off"}),
    "faulty": ("development", {}),
    "hanging": (
        "development",
        {"ADMIN_TOKEN": ADMIN_TOKEN, "CACHE_COALESCE": "on", "KEYS_REVOKED_RETENTION": "2"},
    ),
    "unbound": ("development", {}),
    "private": (
        "development",
        PATIENT
        | {
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "METRICS_TOKEN": METRICS_TOKEN,
            "GUARDRAIL": "mask",
            "BODY_LOG": "on",
            "REDACT_PATTERNS": "STAFF=EMP-[0-9]{6}",
        },
    ),
    "refusing": ("development", {"GUARDRAIL": "refuse"}),
    "secrets": ("development", {"SUBREQUEST_LIMIT": "50"}),
    "later": (
        "development",
        {
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "CATALOG_DATE": "2026-12-12",
            "DISABLED_PROVIDERS": "workers-ai",
            "FALLBACK_CHAIN": "openai,groq",
            "OPENAI_API_KEY": ",".join(OPENAI_KEYS),
            "GROQ_API_KEY_2": f"{KEYS['GROQ_API_KEY']}-2",
            "GROQ_KEYS_SHARE_QUOTA": "on",
            "RATE_LIMIT_ADAPTIVE": "on",
        },
    ),
    "broken": ("staging", {"FALLBACK_CHAIN": "gemini,nobody", "IDLE_TIMEOUT_MS": "soon"}),
}
"""What runs: the environment of wrangler.toml, and what is set beside it."""


class Deployments:
    """Starts deployments, several at once where several are asked for early."""

    def __init__(self, upstream: Upstream, directory: Path) -> None:
        self._upstream = upstream
        self._directory = directory
        self._pool = ThreadPoolExecutor(2)
        self._starting: dict[str, Future[runtime.Server]] = {}

    def begin(self, name: str) -> None:
        """Starts one without waiting for it."""
        if name not in self._starting:
            self._starting[name] = self._pool.submit(self._start, name)

    def get(self, name: str) -> runtime.Server:
        """A deployment that answers."""
        self.begin(name)
        return self._starting[name].result()

    def log(self, name: str) -> str:
        """What a deployment's Worker has logged."""
        return (self._directory / name / "worker.log").read_text()

    def state(self, name: str) -> Path:
        """The folder in which it stores what it keeps."""
        return self._directory / name / "state"

    def stop(self) -> None:
        """Ends them all."""
        self._pool.shutdown(cancel_futures=True)
        for starting in self._starting.values():
            if not starting.cancelled() and not starting.exception():
                starting.result().stop()

    def _start(self, name: str) -> runtime.Server:
        environment, settings = DEPLOYMENTS[name]
        settings = DAY | settings
        directory = self._directory / name
        ai = directory / "ai"
        ai.mkdir(parents=True)
        if environment == "development":
            urls = {f"{who}_BASE_URL": self._upstream.url + path for who, path in PATHS.items()}
            if name == "later":
                urls = make_env(self._upstream.url)
            settings = urls | KEYS | ROOMY | settings
        main = derive_config(
            directory,
            env=environment,
            vars=settings,
            ai_service={"service": "fake-ai", "entrypoint": "AI"},
        )
        if name == "secrets":
            bind_secrets(main)
        if name == "granted":
            stand_behind_access(main)
        _take_tiers(name, main)
        _take_objects(name, main)
        self._ai_config(ai)
        return self._run(name)

    def restart(self, name: str) -> runtime.Server:
        """Starts it anew on what it has stored, or for the first time."""
        if name in self._starting:
            self.get(name).stop()
            self._starting[name] = self._pool.submit(self._run, name)
        return self.get(name)

    def _run(self, name: str) -> runtime.Server:
        directory = self._directory / name
        return runtime.start(
            runtime.Launch(
                runtime.free_port(),
                directory / "worker.log",
                configs=(directory / "wrangler.json", directory / "ai" / "wrangler.json"),
                env=None,
                persist_to=directory / "state",
                snapshot=build().snapshot,
            )
        )

    def _ai_config(self, directory: Path) -> None:
        source = ROOT / "tests" / "upstream" / "ai"
        shutil.copy(source / "worker.js", directory)
        config = load_config(source / "wrangler.toml")
        config["vars"] = {"UPSTREAM_URL": self._upstream.url}
        config["no_bundle"] = True  # else esbuild watches it ten times a second
        (directory / "wrangler.json").write_text(json.dumps(config))


def stand_behind_access(path: Path) -> None:
    """Has the platform say that Access has signed somebody in, as it does where that stands before
    a Worker."""
    config = load_config(path)
    groups = [{"id": "g-1", "name": "ops", "email": "ops@example.com"}]
    identity = {"email": "Ann@example.com", "name": "Ann", "user_uuid": "u-1", "groups": groups}
    config["access"] = {"dev": {"aud": "f" * 64, "identity": identity}}
    path.write_text(json.dumps(config))


STORE = "0123456789abcdef0123456789abcdef"
"""The id of a Secrets Store."""
BOUND = {"OPENAI_API_KEY": "openai", "ADMIN_TOKEN": "admin"}
"""The settings that `secrets` has in it, and the names of the secrets there."""


def bind_secrets(path: Path) -> None:
    """Binds settings to secrets of a store that holds none as yet."""
    config = load_config(path)
    for name in BOUND:
        config["vars"].pop(name, None)
    config["secrets_store_secrets"] = [
        {"binding": name, "store_id": STORE, "secret_name": secret}
        for name, secret in BOUND.items()
    ]
    path.write_text(json.dumps(config))


def store_secret(directory: Path, setting: str, value: str) -> None:
    """Puts a secret into the store of a deployment, as an operator does."""
    wrangler = NODE_MODULES / ".bin" / "wrangler"
    given = f"--name {BOUND[setting]} --value {value} --scopes workers --config wrangler.json"
    command = ["secrets-store", "secret", "create", STORE, *given.split(), "--persist-to", "state"]
    env = runtime.wrangler_environment(directory / "state")
    subprocess.run([wrangler, *command], check=True, capture_output=True, cwd=directory, env=env)


NOBODYS = (
    "RATE_BUCKET",
    "PROVIDER_POOL",
    "PROVIDER_STATE",
    "BATCH_RUNNER",
    "STATISTICS",
    "RESPONSES",
    "ALIASES",
)
HANGING = ("RATE_BUCKET", "CACHE_FLIGHT", "RESPONSES", "ALIASES")


def _take_tiers(name: str, path: Path) -> None:
    """Leaves `coalescing` without KV and R2, `kvless` without KV, and gives `faulty` a KV that
    throws, a mute R2, and a limiter, a board, a runner of batches and a store of responses and of
    aliases that nobody answers for."""
    if name not in ("coalescing", "kvless", "faulty"):
        return
    config = load_config(path)
    del config["kv_namespaces"]
    if name != "kvless":
        del config["r2_buckets"]
    if name == "faulty":
        for binding in config["durable_objects"]["bindings"]:
            if binding["name"] in NOBODYS:
                binding["script_name"] = "nobody"
        config["services"] += [
            {"binding": "CACHE_KV", "service": "fake-ai", "entrypoint": "Throwing"},
            {"binding": "CACHE_R2", "service": "fake-ai", "entrypoint": "Mute"},
        ]
    path.write_text(json.dumps(config))


def _take_objects(name: str, path: Path) -> None:
    """Gives `hanging` buckets, flights, kept responses and aliases that never answer, and leaves
    `unbound` without two objects that the proxy needs."""
    if name not in ("hanging", "unbound"):
        return
    config = load_config(path)
    bindings = config["durable_objects"]["bindings"]
    for binding in bindings:
        if name == "hanging" and binding["name"] in HANGING:
            binding |= {"script_name": "fake-ai", "class_name": "Hanging"}
    if name == "unbound":
        gone = ("RATE_BUCKET", "STATISTICS")
        config["durable_objects"]["bindings"] = [b for b in bindings if b["name"] not in gone]
    path.write_text(json.dumps(config))

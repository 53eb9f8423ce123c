"""Where two tools read the same fact from two places, the places agree."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

import proxy
from tools.layout import LOCKS, ROOT, SOURCES

WRANGLER: dict[str, Any] = tomllib.loads((ROOT / "wrangler.toml").read_text())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGE: dict[str, Any] = msgspec.json.decode((ROOT / "package.json").read_bytes())


def test_pywrangler_and_make_vendor_the_same_packages() -> None:
    pins = (LOCKS / "worker.in").read_text().splitlines()
    assert set(PROJECT["dependencies"]) <= set(pins)
    assert set(PROJECT["dependencies"]) <= set((LOCKS / "dev.in").read_text().splitlines())


def test_there_is_one_version() -> None:
    assert PROJECT["version"] == proxy.__version__
    assert "version" not in PACKAGE


def test_the_changelog_names_the_version_or_has_it_unreleased() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog
    assert proxy.__version__ in changelog


@pytest.mark.parametrize("name", WRANGLER["env"])
def test_every_environment_has_the_bindings_of_the_top_level(name: str) -> None:
    environment = dict(WRANGLER["env"][name])
    environment.pop("secrets", None)
    assert environment.pop("vars")["ENVIRONMENT"] == name
    (dataset,) = environment.pop("analytics_engine_datasets")
    (top,) = WRANGLER["analytics_engine_datasets"]
    assert dataset["binding"] == top["binding"]
    assert environment == {key: WRANGLER[key] for key in environment}
    inherited = {"name", "main", "build", "rules", "assets", "migrations", "triggers"}
    inherited |= {"compatibility_date", "compatibility_flags", "observability", "env"}
    assert environment.keys() == WRANGLER.keys() - inherited - {
        "vars",
        "secrets",
        "analytics_engine_datasets",
    }


def test_a_deployment_requires_its_secrets_and_development_reads_all_of_env() -> None:
    required = WRANGLER["secrets"]["required"]
    for name, environment in WRANGLER["env"].items():
        assert environment.get("secrets", {}).get("required") == (
            None if name == "development" else required
        )
    asked = re.findall(r"^(\w+)=", (ROOT / ".dev.vars.example").read_text(), re.MULTILINE)
    assert asked == required
    assert set(asked) <= set(PACKAGE["cloudflare"]["bindings"])
    assert set(PACKAGE["cloudflare"]["bindings"]) - set(asked) <= {"CACHE_KV", "CACHE_R2"}


def test_only_production_shares_its_data_set_with_the_top_level() -> None:
    datasets = {
        name: environment["analytics_engine_datasets"][0]["dataset"]
        for name, environment in WRANGLER["env"].items()
    }
    assert datasets["production"] == WRANGLER["analytics_engine_datasets"][0]["dataset"]
    assert len(set(datasets.values())) == len(datasets)


def test_the_migrations_make_every_bound_class() -> None:
    """One by one: a deployment has those of its own version, and gets the rest."""
    migrations = WRANGLER["migrations"]
    bound = [binding["class_name"] for binding in WRANGLER["durable_objects"]["bindings"]]
    assert [migration["tag"] for migration in migrations] == ["v1", "v2", "v3"]
    assert [c for migration in migrations for c in migration["new_sqlite_classes"]] == bound


def test_the_worker_has_every_bound_class_and_needs_every_binding() -> None:
    bindings = WRANGLER["durable_objects"]["bindings"]
    entry = ast.parse((SOURCES / "entry.py").read_text())
    imported = {
        alias.name
        for node in entry.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {binding["class_name"] for binding in bindings} <= imported
    worker = ast.parse((SOURCES / "proxy/host/worker.py").read_text())
    [needed] = (
        ast.literal_eval(node.value)
        for node in worker.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "OBJECTS"
    )
    assert list(needed) == [binding["name"] for binding in bindings]


def test_the_hooks_before_a_commit_run_what_make_check_runs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    commands = [line.strip() for line in recipe[1].splitlines() if "tools.setup" not in line]
    replaced = {"$(BIN)": ".venv/bin", "$(NODE_BIN)": "$PWD/node_modules/.bin", "$$": "$"}
    for variable, value in replaced.items():
        commands = [command.replace(variable, value) for command in commands]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    entries = re.findall(r"^ +entry: (?:sh -c ')?(.+?)'?$", hooks, re.MULTILINE)
    assert entries == commands


@pytest.mark.parametrize("folder", [ROOT, LOCKS / "agents"])
def test_a_lock_of_npm_has_hashes_and_no_host(folder: Path) -> None:
    """Those of other systems too: npm fetches what has no hash without a check."""
    lock = msgspec.json.decode((folder / "package-lock.json").read_bytes())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert packages
    for path, package in packages.items():
        assert package.get("integrity", "").startswith("sha512-"), path
        assert "resolved" not in package, path


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.txt")), ids=lambda lock: lock.stem)
def test_a_lock_of_python_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    packages = [part for part in re.split(r"(?<!\\)\n", text) if part.strip()]
    assert packages
    hashed = re.compile(r"\S+==\S+(?: ; [^\\@]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+")
    for package in packages:
        assert hashed.fullmatch(package), package


def test_continuous_integration_has_the_lowest_supported_versions() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    versions = dict(re.findall(r'(python|node)-version: "(.+)"', workflow))
    python, node = PROJECT["requires-python"], PACKAGE["engines"]["node"]
    assert versions == {"python": python.removeprefix(">="), "node": node.removeprefix(">=")}
    assert "run: .ci/run" in workflow

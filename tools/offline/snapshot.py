"""Prove that the Worker can be deployed: that the platform can snapshot its module scope.

    python3 -m tools.offline.snapshot [ENVIRONMENT]

At a deployment Cloudflare runs the Worker's imports once and stores the memory; a JavaScript
object that a global holds, or randomness drawn at import, lets that fail, though the same Worker
runs under `wrangler dev`. So this takes exactly the modules that `wrangler deploy` would upload,
lets workerd save a snapshot of them, and lets a second workerd start from it. Needs no account
and no network.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tools.layout import BUNDLE, CACHE, LOCKS, NODE_MODULES, ROOT, WORKER, WRANGLER_TOML
from tools.offline import FLAGS, WORKERD
from tools.pack import pack
from tools.runtime import load_config, wrangler_environment

_SECONDS = 120
_NAME = "snapshot.bin"  # workerd's own choice
_MAIN = "snapshot_main.py"
_CONFIG = "snapshot.wd-test"

_MAIN_SOURCE = """\
import {entry}


def test(*_):
    assert callable({entry}.on_fetch)
    assert callable({entry}.on_scheduled)
"""

_CONFIG_SOURCE = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = ( services = [ ( name = "main", worker = .worker ) ] );
const worker :Workerd.Worker = (
  compatibilityDate = "{date}",
  compatibilityFlags = [ {flags} ],
  modules = [
    {modules}
  ],
);
"""


class SnapshotError(Exception):
    """The Worker could not be snapshotted, or not started from its snapshot; says why."""


def prove(environment: str = "production") -> None:
    """Save a snapshot of the Worker and start from it. Raises SnapshotError with the reason."""
    with tempfile.TemporaryDirectory() as scratch:
        _save(environment, Path(scratch))
        _workerd_test(Path(scratch), f"--python-load-snapshot={_NAME}")


class Kept(NamedTuple):
    """What is kept of a state of the sources."""

    modules: Path
    """The folder of what wrangler would upload. Others read it too: copy it to change it."""
    snapshot: Path
    """The memory of a Worker that has imported them."""


def keep() -> Kept:
    """The Worker's modules as its sources are now, and their snapshot, made once for each state.

    A Worker that starts from the snapshot skips what it imports, as one does that is deployed.
    Several may do so at once. Raises SnapshotError.
    """
    pack()
    folder = CACHE / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / _fingerprint()
    kept = Kept(place / "modules", place / _NAME)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.snapshot.exists():
            for outdated in folder.iterdir():
                if outdated.is_dir():
                    shutil.rmtree(outdated)
            saved = _save("development", kept.modules)
            for own in (_MAIN, _CONFIG):
                (kept.modules / own).unlink()
            saved.replace(kept.snapshot)  # last: where it is, the modules are whole
    return kept


def _fingerprint() -> str:
    """A hash of all that a snapshot is made from."""
    inputs = [BUNDLE, WRANGLER_TOML, LOCKS / "worker.txt", ROOT / "package-lock.json"]
    digest = hashlib.sha256()
    for path in (*inputs, *sorted(WORKER.iterdir())):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _save(environment: str, upload: Path) -> Path:
    """Save a snapshot among the Worker's modules in `upload`."""
    collect_modules(environment, upload)
    (upload / _CONFIG).write_text(_test_config(upload), "utf-8")
    _workerd_test(upload, "--python-save-snapshot")
    if not (upload / _NAME).exists():
        raise SnapshotError("workerd saved no snapshot")
    return upload / _NAME


def collect_modules(environment: str, target: Path) -> None:
    """Let wrangler write what it would upload."""
    wrangler = (NODE_MODULES / ".bin" / "wrangler", "deploy", "--dry-run")
    options = ("--config", WRANGLER_TOML, "--env", environment, "--outdir", target)
    _run([*wrangler, *options], state=target)
    (target / "README.md").unlink(missing_ok=True)  # wrangler's note about the folder


def _test_config(upload: Path) -> str:
    """Write the main module of the test and return the configuration that names all modules.

    `workerd test` calls a handler `test`, which the Worker doesn't have: a main module around
    it does.
    """
    config = load_config(WRANGLER_TOML)
    files = sorted(path.relative_to(upload) for path in upload.rglob("*") if path.is_file())
    main = _MAIN_SOURCE.format(entry=Path(config["main"]).stem)
    (upload / _MAIN).write_text(main, "utf-8")
    return _CONFIG_SOURCE.format(
        date=config["compatibility_date"],
        flags=flag_list(config),
        modules=module_list((Path(_MAIN), *files)),
    )


def flag_list(config: Mapping[str, Any]) -> str:
    """The flags under which workerd runs the Worker here, as its configuration wants them."""
    return ", ".join(f'"{flag}"' for flag in (*config["compatibility_flags"], *FLAGS))


def module_list(files: Iterable[Path]) -> str:
    """Files beside workerd's configuration as the modules of a Worker, its main one first."""
    return ",\n    ".join(
        f'( name = "{file.as_posix()}", {_kind(file)} = embed "{file.as_posix()}" )'
        for file in files
    )


def _kind(file: Path) -> str:
    """The type that wrangler gives a module: vendored packages are data, but for their scripts."""
    if file.suffix == ".js":
        return "esModule"
    if file.suffix == ".py" and file.parts[0] != "python_modules":
        return "pythonModule"
    return "data"


def start_options(kept: Path) -> tuple[str, str]:
    """The options by which workerd starts a Worker from its snapshot."""
    return f"--python-snapshot-dir={kept.parent}", f"--python-load-snapshot={kept.name}"


def _workerd_test(upload: Path, mode: str) -> None:
    workerd = (WORKERD, "test", upload / _CONFIG, "--experimental")
    _run([*workerd, f"--python-snapshot-dir={upload}", mode], state=upload)


def _run(command: Sequence[str | Path], state: Path) -> None:
    """Run a command. Raises SnapshotError with its output when it fails."""
    result = subprocess.run(
        command,
        cwd=ROOT,  # where the build of wrangler.toml finds tools/
        env=wrangler_environment(state),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=_SECONDS,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SnapshotError(result.stdout)


def main(arguments: Sequence[str]) -> int:
    """Return the exit status."""
    try:
        prove(*arguments)
    except SnapshotError as error:
        print(error, file=sys.stderr)
        return 1
    print("The Worker can be snapshotted and starts from its snapshot.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

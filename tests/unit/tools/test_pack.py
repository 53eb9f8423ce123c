"""What wrangler uploads: the same for the same sources, whole at any moment, and importable."""

import ast
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from proxy.providers.catalog import Catalog
from tools.layout import SOURCES
from tools.pack import pack, without_about, without_prose

FILES = {"entry.py", "packed.py", "proxy.zip"}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A small Worker."""
    root = tmp_path / "src"
    (root / "proxy" / "core").mkdir(parents=True)
    (root / "entry.py").write_text("import packed\nimport proxy.core.fail\n")
    shutil.copy(SOURCES / "packed.py", root)
    (root / "proxy" / "__init__.py").write_text("")
    (root / "proxy" / "core" / "__init__.py").write_text('"""Types."""\n')
    (root / "proxy" / "core" / "fail.py").write_text("\n\nnone = 0\nnone.nothing  # as told\n")
    (root / "proxy" / "data.json").write_text("{}")
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "build" / "worker"


def contents(target: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in target.iterdir()}


def run(target: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in which nothing but the packed Worker and the packages are found."""
    path = f"import sys; sys.path.insert(0, {str(target)!r}); sys.dont_write_bytecode = True\n"
    return subprocess.run(
        [sys.executable, "-I", "-c", path + code],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_sources_and_nothing_else(sources: Path, target: Path) -> None:
    for stray in ("__pycache__/x.cpython-314.pyc", "core/.fail.py.swp", "notes.txt"):
        (sources / "proxy" / stray).parent.mkdir(exist_ok=True)
        (sources / "proxy" / stray).write_text("stray")
    pack(sources, target)
    assert {path.name for path in target.iterdir()} == FILES
    assert (target / "entry.py").read_bytes() == (sources / "entry.py").read_bytes()
    with zipfile.ZipFile(target / "proxy.zip") as archive:
        assert archive.namelist() == [
            "proxy/__init__.py",
            "proxy/core/__init__.py",
            "proxy/core/fail.py",
            "proxy/data.json",
        ]


class Unprosed(ast.NodeTransformer):
    """Empties each string that is a statement."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = ""
        return node


def pieces(tree: ast.AST) -> Iterator[object]:
    """All that makes the tree, and where each piece begins: what a traceback tells."""
    for node in ast.walk(tree):
        yield type(node)
        for name, value in vars(node).items():
            if isinstance(value, list):
                yield [part if isinstance(part, str) else type(part) for part in value]
            elif not isinstance(value, ast.AST) and not name.startswith("end_"):
                yield name, type(value), value


def test_the_code_without_its_prose_is_the_same_code() -> None:
    for path in SOURCES.rglob("*.py"):
        source = path.read_bytes()
        packed, unprosed = ast.parse(without_prose(source)), Unprosed().visit(ast.parse(source))
        both = zip_longest(pieces(packed), pieces(unprosed))
        assert all(one == other for one, other in both), path


def test_prose_is_gone_and_the_rest_is_not() -> None:
    source = b'''"""Module."""
# why
NAME = 5  # a size
"""What it is,
in two lines."""
TEXT = (
    "one # no comment"  # a comment
    "two"
)


class Nothing(Exception):
    """Only words."""
'''
    assert (
        without_prose(source)
        == b"""""

NAME = 5
""

TEXT = (
    "one # no comment"
    "two"
)


class Nothing(Exception):
    ""
"""
    )


def test_what_explains_a_file_of_data_is_gone_and_the_rest_is_not() -> None:
    data = '{\n  "$about": {"what": ["Words."]},\n  "a": [0.10, "é"],\n  "b": {"$about": 1}\n}\n'
    assert without_about(data.encode()) == '{"a":[0.1,"é"],"b":{"$about":1}}'.encode()
    whole = (SOURCES / "proxy/providers/catalog.json").read_bytes()
    packed, catalog = Catalog(without_about(whole)), Catalog(whole)
    assert len(without_about(whole)) < len(whole)
    assert vars(packed) == vars(catalog)


@pytest.mark.parametrize("data", [b'{"a": 1}\n', b"[ ]", b"{\n", b"\xff"])
def test_data_that_is_not_explained_is_left_as_it_is(data: bytes) -> None:
    assert without_about(data) == data


@pytest.mark.parametrize("source", [b"def (", b"a = '''", b"  x\n y\n", b"\xff"])
def test_what_is_no_python_is_left_as_it_is(source: bytes) -> None:
    assert without_prose(source) == source


def test_the_same_sources_give_the_same_bytes(sources: Path, target: Path, tmp_path: Path) -> None:
    pack(sources, target)
    clone = tmp_path / "clone"
    for path in sorted(sources.rglob("*.*"), reverse=True):  # other order, dates and modes
        place = clone / path.relative_to(sources)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
        place.chmod(0o755)
        os.utime(place, (1e9, 1e9))
    pack(clone, tmp_path / "other" / "worker")
    assert contents(tmp_path / "other" / "worker") == contents(target)


def test_what_has_not_changed_is_left_alone(sources: Path, target: Path) -> None:
    def stamps() -> dict[str, tuple[int, int]]:
        stats = {path.name: path.stat() for path in target.iterdir()}
        return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}

    pack(sources, target)
    before = stamps()
    for path in sources.rglob("*.*"):
        path.touch()
    pack(sources, target)
    assert stamps() == before
    (sources / "proxy" / "data.json").write_text('{"a": 1}')
    pack(sources, target)
    assert {name for name, stamp in stamps().items() if stamp != before[name]} == {"proxy.zip"}
    with zipfile.ZipFile(target / "proxy.zip") as archive:
        assert archive.read("proxy/data.json") == b'{"a": 1}'


@pytest.fixture
def packing(sources: Path, target: Path, tmp_path: Path) -> Iterator[None]:
    """Two that pack different sources into the same place, again and again."""
    other = tmp_path / "other"
    shutil.copytree(sources, other)
    (other / "proxy" / "data.json").write_text('"' + "".join(map(str, range(100_000))) + '"')
    pack(sources, target)
    enough = threading.Event()
    failed: list[Exception] = []

    def again(tree: Path) -> None:
        try:
            while not enough.is_set():
                pack(tree, target)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=again, args=(tree,)) for tree in (sources, other)]
    for thread in threads:
        thread.start()
    yield
    enough.set()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.usefixtures("packing")
def test_a_reader_never_sees_half_a_file(target: Path) -> None:
    sizes: list[int] = []
    until = time.monotonic() + 20
    while len(sizes) < 200 or len(set(sizes)) < 2:  # both have packed meanwhile
        assert time.monotonic() < until
        with zipfile.ZipFile(target / "proxy.zip") as archive:
            assert archive.testzip() is None
            sizes.append(archive.getinfo("proxy/data.json").file_size)
        assert {path.name for path in target.iterdir()} == FILES


def test_the_catalogue_is_read_out_of_the_zip(target: Path) -> None:
    pack(SOURCES, target)
    code = (
        "import packed, proxy\n"
        "from proxy.providers.catalog import Catalog\n"
        "print(proxy.__file__, len(Catalog.load().models))"
    )
    result = run(target, code)
    place = target / "proxy.zip" / "proxy" / "__init__.py"
    assert result.stdout == f"{place} {len(Catalog.load().models)}\n", result.stderr


def test_each_module_is_compiled_once(target: Path) -> None:
    pack(SOURCES, target)
    code = (
        "import packed\n"
        "compiled = []\n"
        "sys.addaudithook(lambda event, given: event == 'compile' and compiled.append(given[1]))\n"
        "import proxy.api.app\n"
        "print(*(name for name in compiled if 'proxy.zip' in str(name)), sep='\\n')"
    )
    result = run(target, code)
    names = result.stdout.split()
    assert str(target / "proxy.zip" / "proxy" / "api" / "app.py") in names, result.stderr
    assert sorted(names) == sorted(set(names))


def test_a_traceback_shows_the_file_the_line_and_its_text(sources: Path, target: Path) -> None:
    pack(sources, target)
    code = "import traceback\ntry: import entry\nexcept AttributeError: traceback.print_exc()"
    told = run(target, code).stderr
    assert f'File "{target / "proxy.zip" / "proxy" / "core" / "fail.py"}", line 4' in told
    assert "    none.nothing\n" in told


def test_other_zips_are_imported_from_as_ever(sources: Path, target: Path, tmp_path: Path) -> None:
    pack(sources, target)
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("elsewhere.py", "")
    code = f"import packed; sys.path.append({str(other)!r})\nimport elsewhere\n"
    result = run(target, code + "print(type(elsewhere.__loader__).__module__)")
    assert result.stdout == "zipimport\n", result.stderr

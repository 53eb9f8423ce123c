"""asyncio on the isolate's own event loop, in workerd itself."""

import asyncio
import shutil
from collections.abc import Iterator

import httpx
import pytest

from bench.bare import Bare
from tools.layout import PYTHON_MODULES, ROOT

SCENES = {
    "order": ["now", "first", "second", "timer"],
    "promises": [7, True],
    "timeouts": ["called off", "in time", "nothing more"],
    "cancelled": [True],
    "tasks": ["b", "a", "bad", "cancelled"],
    "yields": ["a0", "b0", "a1", "b1"],
    "generators": [1, "closed"],
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    modules = tmp_path_factory.mktemp("loop") / "probe"
    shutil.copytree(ROOT / "src/proxy", modules / "proxy", ignore=shutil.ignore_patterns("__*__"))
    shutil.copy(ROOT / "tests/e2e/loop/probe_worker.py", modules)
    shutil.copytree(PYTHON_MODULES, modules / "python_modules")
    with Bare(modules, "probe_worker.py", {}, modules.parent / "probe.log") as worker:
        yield f"http://127.0.0.1:{worker.port}"


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_plays_as_asyncio_has_it(url: str, scene: str) -> None:
    assert httpx.get(f"{url}/{scene}").json() == SCENES[scene]


async def test_requests_at_once_keep_to_their_own_turns(url: str) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        names = list(SCENES) * 10
        answers = await asyncio.gather(*(client.get(f"{url}/{name}") for name in names))
    assert [answer.json() for answer in answers] == [SCENES[name] for name in names]

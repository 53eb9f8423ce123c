"""A client that runs in Node: its driver reads a JSON object a line, and answers with one."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tools.layout import NODE_MODULES


class NodeClient:
    """A running driver."""

    def __init__(self, driver: Path, url: str) -> None:
        self._process = subprocess.Popen(
            [NODE_MODULES / ".bin" / "node", driver, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, **given: Any) -> Any:
        """What the driver makes of this: an object with `value` or `error`."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        print(json.dumps(given), file=stdin, flush=True)
        return json.loads(stdout.readline())

    def stop(self) -> None:
        """Ends it."""
        self._process.communicate()

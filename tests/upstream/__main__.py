"""`python -m tests.upstream --port 0` prints {"port": N} and serves until it is ended."""

import argparse
import json
import signal
import threading

from .server import Upstream


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    with Upstream(parser.parse_args().port) as up:
        print(json.dumps({"port": up.port}), flush=True)
        ended.wait()


main()

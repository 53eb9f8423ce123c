"""Run the proxy on this machine: `make dev`, or `python3 -m tools.dev`.

Settings come from the environment: PORT (8787), HOST (127.0.0.1) and UPSTREAM, which is `local`
(a real small language model answers, no key needed) or `none` (only providers with a key in
.env). Whatever is missing is installed first. Ctrl-C, SIGTERM or SIGHUP ends all that was started.
"""

import errno
import json
import os
import shlex
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from typing import NamedTuple, NoReturn

from tools import dotenv, offline, runtime, setup
from tools.layout import LOGS

UPSTREAMS = ("local", "none")
PARTS = ("node", "worker-packages", "describer", *offline.PARTS)
DEMO_BODY = '{"prompt":"What is the capital of France? Answer in one short sentence."}'
_POLL_SECONDS = 0.2


class Failure(Exception):
    """The command cannot go on; the message is for the user."""


class Settings(NamedTuple):
    """What the user can choose."""

    host: str
    port: int
    upstream: str


def read_settings() -> Settings:
    """Read the environment. Raises Failure, naming the choices."""
    port = os.environ.get("PORT") or "8787"
    upstream = os.environ.get("UPSTREAM") or "local"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Failure(f"PORT={port} is no port: choose a number from 1 to 65535.")
    if upstream not in UPSTREAMS:
        raise Failure(f"UPSTREAM={upstream} is unknown: choose {' or '.join(UPSTREAMS)}.")
    return Settings(os.environ.get("HOST") or runtime.LOOPBACK, int(port), upstream)


def check_port(host: str, port: int) -> None:
    """Raise Failure when nothing could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"Cannot listen on {host}, port {port}: {error.strerror}."
            if error.errno == errno.EADDRINUSE:
                message += f" Choose another: make dev PORT={port % 65535 + 1}"
            raise Failure(message) from None


def serve(settings: Settings) -> NoReturn:
    """Start everything and pass the Worker's log on until something ends.

    Raises Failure or StartError when a server does not start or ends by itself.
    """
    with ExitStack() as running:
        servers = []
        variables: dict[str, str] = {}
        if settings.upstream == "local":
            print("Starting the local model ...", flush=True)
            model, variables = runtime.start_local_model(
                log=LOGS / f"local-model-{settings.port}.log"
            )
            servers.append(running.enter_context(model))
        print("Starting the Worker under wrangler dev ...", flush=True)
        worker = runtime.start(
            runtime.Launch(
                settings.port,
                LOGS / f"worker-{settings.port}.log",
                host=settings.host,
                vars=variables,
            )
        )
        servers.append(running.enter_context(worker))
        check_settings(worker.url)
        findings = dotenv.check()
        for warning in findings.warnings:
            print(f"warning: {warning}", flush=True)
        with worker.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            hint = not findings.has_provider
            print(invitation(worker.url, settings.upstream, hint), flush=True)
            while all(server.running() for server in servers):
                sys.stdout.buffer.write(log.read())
                sys.stdout.flush()
                time.sleep(_POLL_SECONDS)
        ended = next(server for server in servers if not server.running())
        raise Failure(f"{ended.name} has ended. The end of {ended.log}:\n{ended.tail()}")


def check_settings(url: str) -> None:
    """Raise Failure with the Worker's own words where its settings make no sense."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=30):
            return
    except urllib.error.HTTPError as refusal:
        with refusal:
            body = refusal.read()
    try:
        reason = json.loads(body)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        reason = body.decode("utf-8", "replace")
    raise Failure(f"The Worker can't answer. {reason}\nMend .env and start again.")


def invitation(url: str, upstream: str, hint: bool) -> str:
    """What the user reads when the proxy is ready: where it is, a command that works, its pages.

    hint: whether to say how to get a provider.
    """
    if upstream == "local":
        command = (
            f"curl -s {url}/v1/generate -H 'content-type: application/json' "
            f"-d {shlex.quote(DEMO_BODY)}"
        )
        wish = "The local model is small and can't call tools. For Claude Code, Codex and the like"
    else:
        command = f"curl -s {url}/health"
        wish = "For answers"
    pages = f"\nDashboard: {url}/dashboard   Set up a client: {url}/setup   Reference: {url}/docs\n"
    advice = f"{wish} put a provider's key into .env (see .env.example) and start again.\n"
    return (
        f"\nReady on {url} (Ctrl-C ends it). Try:\n\n  {command}\n{pages}{advice if hint else ''}"
    )


def main() -> int:
    """Return the exit status: 0 after Ctrl-C, which is how it is meant to end (make would complain
    of any other), 128 and the signal's number, or 1 on failure."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background job ignores it
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        settings = read_settings()
        check_port(settings.host, settings.port)
        setup.install([*PARTS, *(["local-model"] if settings.upstream == "local" else [])])
        serve(settings)
    except (Failure, setup.SetupError, runtime.StartError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())

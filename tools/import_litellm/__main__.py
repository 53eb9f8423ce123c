"""The command: python -m tools.import_litellm config.yaml."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.import_litellm.deployments import read_deployments
from tools.import_litellm.document import ConfigError, Node, read_config
from tools.import_litellm.groups import Groups
from tools.import_litellm.render import render, render_aliases, render_env, write_private
from tools.import_litellm.report import Report
from tools.import_litellm.sections import list_environment, read_sections
from tools.import_litellm.servers import Servers, read_providers

_ABOUT = """Turn a LiteLLM proxy's config.yaml into this project's settings and aliases.

The terminal shows them with all that is not carried over, and why; it never shows a secret.
The status is 0 where a result came, 1 where the file can't be read or a file can't be written."""


def convert(config: Node, providers: dict[str, Any]) -> Report:
    """What the config becomes. providers: the catalogue's."""
    report = Report(environment=config.fields.get("environment_variables", Node({})))
    servers = Servers(report, providers)
    Groups(config, read_deployments(config, servers), servers).make_aliases()
    read_sections(config, report)
    list_environment(report)
    return report


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.import_litellm",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="LiteLLM's config.yaml")
    parser.add_argument(
        "--env",
        type=Path,
        help="write the settings there, with the keys that stand in the config (mode 0600)",
    )
    parser.add_argument("--aliases", type=Path, help="write the aliases there, a line of JSON each")
    options = parser.parse_args(arguments)
    try:
        report = convert(read_config(options.config), read_providers())
        print("\n".join(render(report)))
        if options.env:
            write_private(options.env, render_env(report))
        if options.aliases:
            write_private(options.aliases, render_aliases(report))
    except ConfigError as error:
        print(f"import failed: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"import failed: {error.filename} can't be written: {error.strerror}.", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

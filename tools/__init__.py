"""What sets the machine up and runs the Worker on it.

Everything here runs on the standard library of Python 3.11 or newer, because it runs
before any package is installed: `python3 -m tools.setup`, `python3 -m tools.dev`.
"""

import sys

if sys.hexversion < 0x030B0000:
    sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}.")

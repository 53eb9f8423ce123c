"""Write the document to the standard output: python -m tools.openapi."""

import sys

import msgspec

from tools.layout import SOURCES

sys.path.insert(0, str(SOURCES))

from tools.openapi.document import build

sys.stdout.buffer.write(msgspec.json.encode(build()))

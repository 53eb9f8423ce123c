"""Measurements that the documentation quotes; README.md says how each is read."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

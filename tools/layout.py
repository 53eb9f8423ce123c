"""Where things lie in a clone. Everything but the sources is ignored by git."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src"
PUBLIC = ROOT / "public"
LOCKS = ROOT / "locks"
WRANGLER_TOML = ROOT / "wrangler.toml"

VENV = ROOT / ".venv"
NODE_MODULES = ROOT / "node_modules"
PYTHON_MODULES = ROOT / "python_modules"

BUILD = ROOT / ".build"
WORKER = BUILD / "worker"
"""What wrangler uploads, beside the vendored packages."""
ASSETS = BUILD / "public"
"""What it serves as files."""

CACHE = ROOT / ".cache"
BUNDLE = CACHE / "bundle" / "pyodide_dev.capnp.bin"
DESCRIBER = CACHE / "describer"
LOCAL_MODEL = CACHE / "local-model"
AGENTS = CACHE / "agents"
BROWSER = CACHE / "browser"
SCREENSHOTS = CACHE / "screenshots"
LOGS = CACHE / "logs"

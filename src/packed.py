"""Imported before the package `proxy`, which when deployed is one zip beside this file.

Python's own importer of zips asks for a module's code to learn its file's name, and so compiles
each module twice: a fifth of the Worker's start. (tools/pack.py makes the zip.)
"""

import sys
from pathlib import Path
from zipimport import zipimporter

_ZIP = str(Path(__file__).with_name("proxy.zip"))


class _Importer(zipimporter):
    """Tells the name of a module's file without its code; the zip holds no compiled modules."""

    def get_filename(self, fullname: str) -> str:
        end = "/__init__.py" if self.is_package(fullname) else ".py"
        return f"{self.archive}/{self.prefix}{fullname.rpartition('.')[2]}{end}"


def _importer(path: str) -> _Importer:
    """For the import system: an importer of the zip's folders, ImportError for others."""
    if not path.startswith(_ZIP):
        raise ImportError(path)
    return _Importer(path)


sys.path_hooks.insert(0, _importer)
sys.path.insert(0, _ZIP)

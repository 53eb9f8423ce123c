"""The memory of the isolate's Python."""

import pyodide_js


def measure_heap() -> int | None:
    """core.ports.Ports.heap: WebAssembly's memory, which only grows."""
    size: int = pyodide_js._module.HEAPU8.byteLength
    return size

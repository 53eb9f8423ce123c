"""Build the Pyodide bundle that workerd loads, from npm's `pyodide` package.

workerd carries no Python. It downloads a bundle from Cloudflare, or, under the flag
`python_workers_development`, takes the file `pyodide_dev.capnp.bin` from the folder named
by `--pyodide-bundle-disk-cache-dir`. This module writes that file, so that the real runtime
starts on a machine that reaches only the package registries.

Emscripten's glue expects a browser or Node; workerd closes code generation and entropy at
start and offers replacements in its module `pyodide-internal:builtin_wrappers`. The glue is
therefore adapted, text for text. Each adaptation states how often its text occurs: another
pyodide that differs gives an error that names the adaptation, never a half-adapted bundle.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tools.offline.capnp import Kind, Module, encode_bundle


class Adaptation(NamedTuple):
    """A literal text of the glue, what replaces it, and how often it must occur."""

    name: str
    found: str
    becomes: str
    times: int


class AdaptationError(Exception):
    """The glue is not the one that the adaptations were written for."""


_NO_EVAL = "(()=>{throw new Error('eval is not available in a Worker')})()"
_LIBRARY = "patchedLoadLibData(Module,libName,flags.rpath)"

ADAPTATIONS = (
    Adaptation("new WebAssembly.Module", "new WebAssembly.Module(", "newWasmModule(", 4),
    Adaptation("WebAssembly.instantiate", "WebAssembly.instantiate(", "wasmInstantiate(", 2),
    Adaptation("Date.now", "Date.now(", "monotonicDateNow(", 22),
    Adaptation("crypto.getRandomValues", "crypto.getRandomValues(", "getRandomValues(Module,", 1),
    Adaptation("eval of EM_ASM and EM_JS", "eval(func)", _NO_EVAL, 2),
    Adaptation("eval of a script", "eval(UTF8ToString(ptr))", _NO_EVAL, 3),
    Adaptation("eval of a loaded file", "eval(data)", _NO_EVAL, 1),
    Adaptation(
        "loadLibData",
        "function loadLibData(){",
        f"function loadLibData(){{return flags.loadAsync?Promise.resolve({_LIBRARY}):{_LIBRARY};",
        1,
    ),
    Adaptation(
        "getMemory of the dynamic linker",
        "alignMemory(getMemory(",
        "alignMemory(Module.getMemoryPatched(Module,libName,",
        1,
    ),
    Adaptation(
        "default export",
        "export default _createPyodideModule;",
        "export default _createPyodideModule;export{_createPyodideModule};",
        1,
    ),
)

_NAMESPACE = "pyodideRuntime-internal"
_IMPORTS = (
    "import{addEventListener,getRandomValues,location,monotonicDateNow,newWasmModule,"
    'patchedLoadLibData,wasmInstantiate}from"pyodide-internal:builtin_wrappers";\n'
)


def adapt_glue(glue: str, adaptations: Sequence[Adaptation] = ADAPTATIONS) -> str:
    """Return Emscripten's glue made fit for workerd.

    Raises AdaptationError, listing every text that occurs more or less often than stated.
    """
    wrong = [
        f"{adaptation.name}: expected {adaptation.times}, found {occurrences}"
        for adaptation in adaptations
        if (occurrences := glue.count(adaptation.found)) != adaptation.times
    ]
    if wrong:
        raise AdaptationError("; ".join(wrong))
    for adaptation in adaptations:
        glue = glue.replace(adaptation.found, adaptation.becomes)
    return _IMPORTS + glue


def build_bundle(pyodide: Path, stdlib: Path, target: Path) -> None:
    """Write the bundle to `target`, whole or not at all.

    `pyodide` is the folder of the npm package, `stdlib` the archive of the standard library.
    Raises AdaptationError when the package's glue is not the expected one.
    """
    try:
        glue = adapt_glue((pyodide / "pyodide.asm.mjs").read_text("utf-8"))
    except AdaptationError as error:
        version = json.loads((pyodide / "package.json").read_text("utf-8"))["version"]
        raise AdaptationError(f"pyodide {version} needs other adaptations: {error}") from None
    message = encode_bundle(
        [
            Module(f"{_NAMESPACE}:pyodide.asm", Kind.SRC, glue.encode()),
            Module(
                f"{_NAMESPACE}:pyodide.asm.wasm",
                Kind.WASM,
                (pyodide / "pyodide.asm.wasm").read_bytes(),
            ),
            Module(f"{_NAMESPACE}:python_stdlib.zip", Kind.DATA, stdlib.read_bytes()),
        ]
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(message)
    partial.replace(target)

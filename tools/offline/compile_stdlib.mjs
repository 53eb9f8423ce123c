// Compiles Python's standard library ahead: node compile_stdlib.mjs PYODIDE TARGET
//
// npm's python_stdlib.zip holds sources, and workerd has nowhere to keep what it compiles, so
// each start and each reload would compile them again: that is most of the time until
// the Worker's first answer. Only the same Python can do it, so Pyodide does it here, under Node.
// The sources stay in the archive for tracebacks.

import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [pyodide, target] = process.argv.slice(2).map((path) => resolve(path));
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
const python = await loadPyodide();

python.FS.writeFile("/tmp/stdlib.zip", readFileSync(`${pyodide}/python_stdlib.zip`));
python.runPython(`
import compileall, py_compile, shutil, sys

shutil.unpack_archive("/tmp/stdlib.zip", "/tmp/stdlib")
compiled = compileall.compile_dir(
    "/tmp/stdlib",
    legacy=True,  # beside the sources, where zipimport looks
    stripdir="/tmp/stdlib",
    prependdir=f"/lib/python{sys.version_info.major}{sys.version_info.minor}.zip",
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    quiet=1,
)
if not compiled:
    raise SystemExit("some module of the standard library did not compile")
shutil.make_archive("/tmp/compiled", "zip", "/tmp/stdlib")
`);
writeFileSync(target, python.FS.readFile("/tmp/compiled.zip"));

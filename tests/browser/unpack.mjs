// node unpack_browser.mjs DIRECTORY: unpacks the Chromium of @sparticuz/chromium, with its
// libraries and fonts, into an empty directory.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [directory] = process.argv.slice(2);
process.env.TMPDIR = directory; // where the package unpacks to
const { inflate } = await import("@sparticuz/chromium");
const packed = join(
  dirname(fileURLToPath(import.meta.resolve("@sparticuz/chromium"))),
  "..",
  "bin",
);
await Promise.all(
  ["chromium.br", "al2023.tar.br", "fonts.tar.br"].map((name) => inflate(join(packed, name))),
);

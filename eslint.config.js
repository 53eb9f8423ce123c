import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["python_modules/", ".*/"] },
  js.configs.recommended,
  { rules: { eqeqeq: "error", "no-var": "error", "prefer-const": "error" } },
  { files: ["public/**"], languageOptions: { globals: globals.browser } },
  { files: ["tools/**"], languageOptions: { globals: globals.node } },
  {
    files: ["tests/**"],
    languageOptions: { globals: { ...globals.node, ...globals.serviceworker } },
  },
];

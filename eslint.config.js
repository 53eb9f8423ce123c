import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["python_modules/", ".*/"] },
  js.configs.recommended,
  { rules: { eqeqeq: "error", "no-var": "error", "prefer-const": "error" } },
  { files: ["public/**"], languageOptions: { globals: globals.browser } },
  { files: ["public/dashboard/theme.js"], languageOptions: { sourceType: "script" } },
  { files: ["tools/**"], languageOptions: { globals: globals.node } },
  { files: ["bench/**"], languageOptions: { globals: globals.serviceworker } },
  {
    files: ["tests/**"],
    languageOptions: { globals: { ...globals.node, ...globals.serviceworker } },
  },
  // What a test evaluates in the page has the page's names.
  { files: ["tests/browser/**"], languageOptions: { globals: globals.browser } },
];

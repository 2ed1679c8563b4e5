// Makes dist/ from src/: one bundle for every page, one for the editor, their stylesheets and the icons.
import { build } from "esbuild";
import { copyFile } from "node:fs/promises";

const options = { bundle: true, minify: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning" };
const at = (path) => new URL(path, import.meta.url).pathname;

await build({ ...options, entryPoints: ["console.js", "console.css", "editor.js", "editor.css"].map((name) => at(`src/${name}`)), outdir: at("dist") });
for (const name of ["icon.svg", "icons.svg"]) await copyFile(at(`src/${name}`), at(`dist/${name}`));

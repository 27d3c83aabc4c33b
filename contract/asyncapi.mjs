// node asyncapi.mjs FILE: fails if FILE is not a valid AsyncAPI document.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const [file] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
const WARNING = 1;
const faults = diagnostics.filter((diagnostic) => diagnostic.severity <= WARNING);
for (const { path, message } of faults) console.error(`${file}: ${path.join(".")}: ${message}`);
if (!document || faults.length > 0) process.exit(1);
console.log(`${file}: OK`);

/** Public suffixes (publicsuffix.org): names under which anybody may register, so nobody can own them here. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

let known: ReadonlySet<string> | undefined;

/** `name`: lower-case A-labels. A single label always is one. */
export function isPublicSuffix(name: string): boolean {
  const dot = name.indexOf(".");
  if (dot < 0) return true;
  known ??= readRules();
  if (known.has(`!${name}`)) return false;
  return known.has(name) || known.has(`*${name.slice(dot)}`);
}

function readRules(): ReadonlySet<string> {
  const text = readFileSync(join(import.meta.dirname, "public-suffixes.txt"), "utf8");
  return new Set(text.split("\n").filter((line) => line !== "" && !line.startsWith("//")));
}

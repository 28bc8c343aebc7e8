/** Which suites there are: the files themselves tell. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export type Suite = Readonly<{ name: string; about: string; files: readonly string[] }>;

const ENDING = ".faults.ts";

/** Sorted by name. `crash.faults.ts` and `crash-points.faults.ts` are the suite `crash`. */
export function findSuites(folder: string): Suite[] {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith(ENDING))
    .sort((a, b) => a.localeCompare(b));
  const suites = Map.groupBy(files, (file) => /^[a-z]+/.exec(file)?.[0] ?? file);
  return [...suites]
    .map(([name, members]) => ({
      name,
      about: members.map((file) => aboutOf(join(folder, file))).join(" "),
      files: members.map((file) => join(folder, file)),
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** The first paragraph of the file's header. */
function aboutOf(path: string): string {
  const header = /^\/\*\*([\s\S]*?)(?:\*\/|\n \*\s*\n)/.exec(readFileSync(path, "utf8"))?.[1] ?? "";
  return header.replaceAll(/\n? \*\s?/g, " ").trim();
}

/** Those asked for, or the text of what is wrong. */
export function chooseSuites(suites: readonly Suite[], only: string | undefined): readonly Suite[] | string {
  if (only === undefined) return suites;
  const names = only.split(",").map((name) => name.trim());
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    return `no suite is named ${unknown.join(", ")}; there are ${suites.map(({ name }) => name).join(", ")}`;
  }
  return suites.filter(({ name }) => names.includes(name));
}

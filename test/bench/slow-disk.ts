/** The library that makes PostgreSQL's and Postfix's disk slower (slow-disk.c), for disks that are. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

export type SlowDisk = Disposable & Readonly<{ library: string }>;

/** @param folder passable by the unprivileged users that the programs run as. @throws when there is no C compiler. */
export function makeSlowDisk(folder: string, ms: number): SlowDisk {
  const place = mkdtempSync(join(folder, "postmeter-slow-"));
  chmodSync(place, 0o755);
  const remove = () => rmSync(place, { recursive: true, force: true });
  const library = join(place, "slow-disk.so");
  const source = join(import.meta.dirname, "slow-disk.c");
  try {
    execFileSync("cc", ["-shared", "-fPIC", "-O2", `-DDELAY_US=${ms * 1000}`, "-o", library, source, "-ldl"], {
      stdio: "pipe",
    });
  } catch (error) {
    remove();
    throw new Error(`--fsync-ms needs a C compiler (apt-get install gcc libc6-dev): ${(error as Error).message}`);
  }
  chmodSync(library, 0o755);
  return { library, [Symbol.dispose]: remove };
}

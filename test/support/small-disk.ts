/** A disk that can be full: a tmpfs of a few megabytes, where this machine lets us mount one (root, with CAP_SYS_ADMIN). */
import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

export type SmallDisk = Readonly<{
  folder: string;
  /** Not a byte is left; `clear` gives them back. */
  fill(): void;
  clear(): void;
}>;

const mounted: string[] = [];
/** Lazily: it is gone when the server on it has ended, too. */
afterAll(() => {
  for (const folder of mounted) {
    spawnSync("umount", ["--lazy", folder]);
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Or why there can be none, in words. */
export function mountSmallDisk(megabytes: number): SmallDisk | string {
  if (process.platform !== "linux") return "a small disk is mounted on Linux only";
  const folder = mkdtempSync(join(tmpdir(), "postmeter-disk-"));
  const { status, stderr, error } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder], {
    encoding: "utf8",
  });
  if (status !== 0) {
    rmSync(folder, { recursive: true, force: true });
    return `no tmpfs can be mounted here: ${error?.message ?? stderr.trim()}`;
  }
  mounted.push(folder);
  chmodSync(folder, 0o755);
  const filler = join(folder, "filler");
  return {
    folder,
    fill() {
      const file = openSync(filler, "a");
      for (let size = 1 << 20; size >= 1; ) {
        try {
          writeSync(file, Buffer.alloc(size));
        } catch (full) {
          if ((full as NodeJS.ErrnoException).code !== "ENOSPC") throw full;
          size >>= 1;
        }
      }
      closeSync(file);
    },
    clear: () => rmSync(filler, { force: true }),
  };
}

import { execFileSync, spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { makeSlowDisk } from "./slow-disk.ts";

const compiler = spawnSync("cc", ["--version"]).status === 0;
const syncs = 20;
const program = `const fs = require("node:fs"); const fd = fs.openSync(process.argv[1], "w+");
  for (let n = 0; n < ${syncs}; n++) fs.fsyncSync(fd);
  fs.unlinkSync(process.argv[1]);
  process.stdout.write(fs.readFileSync("/proc/self/maps", "utf8"));`;

/** Milliseconds, and whether the library was loaded. */
function sync(env: NodeJS.ProcessEnv) {
  const startedAtMs = performance.now();
  const maps = execFileSync(process.execPath, ["-e", program, join(tmpdir(), `postmeter-sync-${process.pid}`)], {
    env,
    encoding: "utf8",
  });
  return { ms: performance.now() - startedAtMs, loaded: maps.includes("slow-disk.so") };
}

test.skipIf(!compiler || process.platform !== "linux")(
  "each fsync takes so much longer; control: without the library none is loaded",
  () => {
    using slow = makeSlowDisk(tmpdir(), 5);
    const { ms, loaded } = sync({ LD_PRELOAD: slow.library });
    expect(loaded).toBe(true);
    expect(ms).toBeGreaterThanOrEqual(syncs * 5);
    expect(sync({}).loaded).toBe(false);
  },
);

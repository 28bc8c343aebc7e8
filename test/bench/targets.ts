/** Starts what the options ask for; what can't take part says why. */
import { chmodSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { join, resolve } from "node:path";
import { startHaraka } from "./haraka.ts";
import type { Options } from "./options.ts";
import { startPostfix } from "./postfix.ts";
import { startRelay } from "./relay.ts";
import type { Sink } from "./sink.ts";
import type { Absent, Target, TargetName } from "./target.ts";

export type Targets = Readonly<{ present: readonly Target[]; absent: readonly Absent[] }> & AsyncDisposable;

/** @param preload a library that PostgreSQL and the peers are to load */
export async function startTargets(options: Options, sink: Sink, preload: string | null): Promise<Targets> {
  await using started = new AsyncDisposableStack();
  const present: Target[] = [];
  const absent: Absent[] = [];
  for (const name of options.targets) {
    const base = name === "postfix-tmpfs" ? options.memory : options.disk;
    const folder = makeFolder(base);
    if (folder === undefined) {
      absent.push({ name, why: `there is no folder ${base}` });
      continue;
    }
    started.defer(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
    const target = await start(name, folder, { ...options, preload }, sink);
    if ("why" in target) absent.push(target);
    else present.push(started.use(target));
  }
  const all = started.move();
  return { present, absent, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

type Order = Options & Readonly<{ preload: string | null }>;

async function start(name: TargetName, folder: string, options: Order, sink: Sink): Promise<Target | Absent> {
  const sinkPort = sink.port;
  switch (name) {
    case "relay":
      return startRelay({ ...options, name, folder, sinkPort });
    case "before":
      if (options.before === null) return { name, why: "--before names its folder" };
      return startRelay({ ...options, name, folder, sinkPort, root: resolve(options.before), profile: null });
    case "postfix-tmpfs":
    case "postfix-disk":
      return startPostfix({
        name,
        folder: join(folder, "postfix"),
        sinkPort,
        settings: options.postfix,
        preload: options.preload,
      });
    case "haraka":
      return startHaraka({ ...options, installed: options.haraka, folder, sinkPort });
    case "sink":
      return nothingBetween(sink);
  }
}

/** What generator and sink reach without a relay: the ceiling of this machine. */
function nothingBetween(sink: Sink): Target {
  return {
    name: "sink",
    about: "nothing between generator and sink",
    ports: { off: sink.port },
    logins: [],
    roots: [{ name: "sink", pid: sink.pid }],
    books: () => Promise.resolve([]),
    verify: () => Promise.resolve(null),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Passable by the unprivileged users that Postfix and PostgreSQL run as. */
function makeFolder(base: string): string | undefined {
  try {
    const folder = mkdtempSync(join(base, "postmeter-bench-"));
    chmodSync(folder, 0o755);
    return folder;
  } catch {
    return undefined;
  }
}

export function fileSystem(folder: string): string {
  const known: Record<number, string> = { 16914836: "tmpfs", 61267: "ext4", 1481003842: "xfs", 2435016766: "btrfs" };
  const { type } = statfsSync(folder);
  return known[type] ?? `file system 0x${type.toString(16)}`;
}

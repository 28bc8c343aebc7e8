/** A Redis (or Valkey) of the bench's own, set as the project asks for: append-only file, no eviction. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Child, startChild } from "./children.ts";
import { freePort } from "./ports.ts";

export type BenchRedis = Readonly<{ url: string; pid: number; version: string }> & AsyncDisposable;

/** Undefined where neither redis-server nor valkey-server is installed. */
export async function startRedis(folder: string): Promise<BenchRedis | undefined> {
  const program = ["redis-server", "valkey-server"].find((name) => spawnSync(name, ["--version"]).status === 0);
  if (program === undefined) return undefined;
  const version = /v=(\S+)/.exec(spawnSync(program, ["--version"], { encoding: "utf8" }).stdout)?.[1] ?? "";
  const port = await freePort();
  mkdirSync(folder, { recursive: true });
  const settings = {
    port: String(port),
    bind: "127.0.0.1",
    dir: folder,
    save: "",
    appendonly: "yes",
    appendfsync: "everysec",
    "maxmemory-policy": "noeviction",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const child = startChild(program, args, { env: { PATH: process.env.PATH }, logFile: join(folder, "redis.log") });
  await ready(child);
  return {
    url: `redis://127.0.0.1:${port}`,
    pid: child.pid,
    version: `${program.replace("-server", "")} ${version}`,
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

async function ready(child: Child): Promise<void> {
  const seen: string[] = [];
  for await (const line of createInterface({ input: child.process.stdout! })) {
    seen.push(line);
    if (/ready to accept connections/i.test(line)) {
      child.process.stdout!.resume();
      return;
    }
  }
  throw new Error(`Redis did not start:\n${seen.slice(-5).join("\n")}`);
}

/** A real Redis or Valkey per caller, on a unix socket or port of its own; ended with the file. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { afterAll } from "vitest";
import { openRedis, redisReady } from "../../src/platform/redis.ts";
import { silentLog } from "./log.ts";

export type TestRedis = Readonly<{
  url: string;
  redis: Redis;
  /** The server's own handle, for faults: kill, stop, start again on the same port with the same folder. */
  server: { stop(signal?: NodeJS.Signals): Promise<void>; start(): Promise<void>; pause(): void; resume(): void };
}> &
  AsyncDisposable;

/** Registered here, and not where a server is started: that may be in the middle of a test. */
const started: TestRedis[] = [];
afterAll(async () => {
  await Promise.all(started.map((one) => one[Symbol.asyncDispose]()));
});

export async function testRedis(settings: readonly string[] = []): Promise<TestRedis> {
  const program = redisProgram();
  const folder = mkdtempSync(join(tmpdir(), "postmeter-redis-"));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  const start = async () => {
    const options = [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--dir",
      folder,
      "--save",
      "",
      "--appendonly",
      "no",
    ];
    child = spawn(program, [...options, ...settings], { stdio: "ignore" });
    await answering(url, child);
  };
  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once("exit", resolve));
    running.kill("SIGCONT");
    running.kill(signal);
    await ended;
  };
  const redis = openRedis(url, silentLog);
  const dispose = async () => {
    redis.disconnect();
    await stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  const server = { start, stop, pause: () => child?.kill("SIGSTOP"), resume: () => child?.kill("SIGCONT") };
  const made = { url, redis, server, [Symbol.asyncDispose]: dispose };
  started.push(made);
  await start();
  await redisReady(redis, 5000);
  return made;
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  const probe = openRedis(url, silentLog);
  try {
    if (!(await redisReady(probe, 10_000))) throw new Error(`Redis does not start (exit code ${child.exitCode})`);
  } finally {
    probe.disconnect();
  }
}

let found: string | undefined;

/** redis-server or valkey-server; installed where that needs nobody's help. */
export function redisProgram(): string {
  found ??= findRedis() ?? (installRedis() ? findRedis() : undefined);
  if (found === undefined) {
    throw new Error(
      "The tests need Redis: install redis-server or valkey-server (Debian: apt-get install redis-server).",
    );
  }
  return found;
}

function findRedis(): string | undefined {
  return ["redis-server", "valkey-server"].find(
    (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
  );
}

/** As root on Debian only. The service that the package would start is kept from starting: the tests bring their own. */
function installRedis(): boolean {
  if (process.getuid?.() !== 0 || spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status !== 0) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const apt = (...args: string[]) =>
    spawnSync("apt-get", args, { stdio: ["ignore", "ignore", "inherit"], env }).status === 0;
  apt("update", "-qq");
  return apt("install", "-y", "-qq", "--no-install-recommends", "redis-server");
}

/** A port that was free a moment ago. Prefer port 0 wherever a server can say what it took. */
export function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
  });
  return promise;
}

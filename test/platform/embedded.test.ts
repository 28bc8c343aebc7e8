import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import pg from "pg";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { type Embedded, startEmbedded } from "../../src/platform/embedded.ts";
import { silentLog } from "../support/log.ts";

const small = ["shared_buffers=16MB", "max_wal_size=64MB", "fsync=off"];
/** One cluster for the tests that leave it whole. */
const dataDir = mkdtempSync(join(tmpdir(), "postmeter-embedded-"));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "postmeter-embedded-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function start(folder = dataDir): Promise<Embedded> {
  const embedded = await startEmbedded(folder, silentLog, small);
  onTestFinished(() => embedded[Symbol.asyncDispose]());
  return embedded;
}

type Said = { url: string; pid: number; error?: string };

async function startElsewhere(
  folder = dataDir,
  options: { uid?: number; gid?: number } = {},
): Promise<{ child: ChildProcess; said: Said }> {
  const program = join(import.meta.dirname, "embedded-holder.ts");
  const child = spawn(process.execPath, [program, folder, ...small], {
    stdio: ["ignore", "pipe", "inherit"],
    ...options,
  });
  for await (const line of createInterface({ input: child.stdout! })) {
    const said = JSON.parse(line) as Said;
    onTestFinished(() => {
      child.kill("SIGKILL");
      if (said.pid && lives(said.pid)) process.kill(said.pid, "SIGQUIT");
    });
    return { child, said };
  }
  throw new Error("it said nothing");
}

async function ask<T>(url: string, query: string): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(query)).rows[0];
  } finally {
    await client.end();
  }
}

function lives(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

test("data outlive a stop and a start", async () => {
  const first = await start();
  await ask(first.url, "create table kept as select 7 as n");
  const pid = first.pid()!;
  await first[Symbol.asyncDispose]();
  expect(lives(pid)).toBe(false);
  const second = await start();
  expect(await ask(second.url, "select n from kept")).toEqual({ n: 7 });
});

test("who is second joins, and the last one that leaves stops the server", async () => {
  const [first, second] = await Promise.all([start(), start()]);
  const pid = first.pid()!;
  expect(second.pid()).toBe(pid);
  await first[Symbol.asyncDispose]();
  expect(await ask(second.url, "select 1 as n")).toEqual({ n: 1 });
  await second[Symbol.asyncDispose]();
  expect(lives(pid)).toBe(false);
});

test("the server of a program that was killed is adopted and then stopped", async () => {
  const { child, said } = await startElsewhere();
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(lives(said.pid)).toBe(true);
  const adopted = await start();
  expect(adopted.pid()).toBe(said.pid);
  await adopted[Symbol.asyncDispose]();
  expect(lives(said.pid)).toBe(false);
});

test("a second instance on one data folder is told who holds it; after a kill the folder is free", async () => {
  const first = await startElsewhere();
  const second = await startElsewhere();
  expect(second.said.error).toBe(
    `${dataDir} is in use by another running Postmeter (process ${first.child.pid}): stop it, or set POSTMETER_DATA_DIR.`,
  );
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  const third = await startElsewhere();
  expect(third.said.error).toBeUndefined();
  third.child.kill("SIGTERM");
  expect(await once(third.child, "exit")).toEqual([0, null]);
});

test("a server that dies while it is used is started again", async () => {
  const embedded = await start();
  const pid = embedded.pid()!;
  process.kill(pid, "SIGKILL");
  await expect
    .poll(() => ask<{ n: number }>(embedded.url, "select 1 as n").catch(() => undefined), { timeout: 20_000 })
    .toEqual({ n: 1 });
  await expect.poll(() => embedded.pid()).not.toBe(pid);
});

test("the process number that a dead server left behind may belong to another program", async () => {
  const first = await start();
  await first[Symbol.asyncDispose]();
  const sleeper = spawn("sleep", ["60"], { stdio: "ignore" });
  onTestFinished(() => void sleeper.kill());
  writeFileSync(join(dataDir, "postgres", "postmaster.pid"), `${sleeper.pid}\n`);
  const second = await start();
  expect(await ask(second.url, "select 1 as n")).toEqual({ n: 1 });
});

test("a server that can't start says why", async () => {
  const bad = startEmbedded(dataDir, silentLog, ["shared_buffers=nonsense"]);
  await expect(bad).rejects.toThrow(/does not start: .*shared_buffers.*postgres\.log/);
});

test("a cluster of another version is not touched", async () => {
  const first = await start();
  await first[Symbol.asyncDispose]();
  const version = join(dataDir, "postgres", "PG_VERSION");
  const before = readFileSync(version);
  writeFileSync(version, "12\n");
  await expect(startEmbedded(dataDir, silentLog)).rejects.toThrow(/is of PostgreSQL 12, this program brings \d+/);
  writeFileSync(version, before);
});

test("a long path of the data folder is no obstacle", async () => {
  const folder = ownFolder();
  chmodSync(folder, 0o755);
  const embedded = await start(join(folder, "long".repeat(30)));
  const socketFolder = new URL(embedded.url).searchParams.get("host")!;
  onTestFinished(() => rmSync(socketFolder, { recursive: true, force: true }));
  expect(await ask(embedded.url, "select 1 as n")).toEqual({ n: 1 });
});

test("only the server's user can connect", async () => {
  const embedded = await start();
  const folder = new URL(embedded.url).searchParams.get("host")!;
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(await ask(embedded.url, "show listen_addresses")).toEqual({ listen_addresses: "" });
});

describe.runIf(process.getuid?.() === 0)("started by root", () => {
  test("the server runs as an unprivileged user", async () => {
    const embedded = await start();
    expect(statSync(`/proc/${embedded.pid()}`).uid).not.toBe(0);
  });

  test("a data folder below one that only root may enter works: the cluster stands outside, with a link to it", async () => {
    const outer = ownFolder();
    chmodSync(outer, 0o700);
    const inner = join(outer, "inner");
    const embedded = await start(inner);
    await ask(embedded.url, "create table kept as select 7 as n");
    await embedded[Symbol.asyncDispose]();
    const again = await start(inner);
    expect(await ask(again.url, "select n from kept")).toEqual({ n: 7 });
    const { data_directory: folder } = await ask<{ data_directory: string }>(again.url, "show data_directory");
    expect(folder).not.toContain(outer);
    await again[Symbol.asyncDispose]();
    rmSync(join(folder, ".."), { recursive: true });
  });

  test("the database of an ordinary user goes on as that user's", async () => {
    const folder = ownFolder();
    chmodSync(folder, 0o777);
    const made = await startElsewhere(folder, { uid: 65534, gid: 65534 });
    expect(made.said.error).toBeUndefined();
    made.child.kill("SIGTERM");
    await once(made.child, "exit");
    const embedded = await start(folder);
    expect(statSync(`/proc/${embedded.pid()}`).uid).toBe(65534);
  });
});

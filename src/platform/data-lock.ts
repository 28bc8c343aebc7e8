/**
 * One running instance per data folder. The lock is a unix socket that its holder listens on: a holder that was killed holds
 * nothing, and whoever is refused can be told who holds it.
 *
 * On failure: a Fault that names the folder and the process.
 */
import { createHash, randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Fault } from "./errors.ts";

const MAX_SOCKET_PATH = 90;
const ANSWER_TIMEOUT_MS = 2000;

export async function lockDataDir(dataDir: string): Promise<Disposable> {
  const folder = resolve(dataDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = socketPath(folder);
  for (let tries = 0; tries < 5; tries++) {
    const server = await listen(path);
    if (server !== undefined) return { [Symbol.dispose]: () => void server.close() };
    const holder = await ask(path);
    if (holder !== undefined) {
      throw new Fault(
        "unavailable",
        `${folder} is in use by another running Postmeter (process ${holder}): stop it, or set POSTMETER_DATA_DIR.`,
      );
    }
    await removeDead(path);
  }
  throw new Fault("unavailable", `${path} can't be taken: remove it if no Postmeter runs on ${folder}.`);
}

function socketPath(folder: string): string {
  if (process.platform === "win32") return `\\\\.\\pipe\\postmeter-${digest(folder)}`;
  const path = join(folder, "instance.lock");
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH ? path : join(tmpdir(), `postmeter-${digest(folder)}.lock`);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function listen(path: string): Promise<Server | undefined> {
  const { promise, resolve: done, reject } = Promise.withResolvers<Server | undefined>();
  const server = createServer((socket) => socket.on("error", () => {}).end(String(process.pid)));
  server.once("error", (error: NodeJS.ErrnoException) =>
    error.code === "EADDRINUSE" ? done(undefined) : reject(error),
  );
  server.listen(path, () => {
    if (process.platform !== "win32") chmodSync(path, 0o600);
    server.unref();
    done(server);
  });
  return promise;
}

/** The holder's process; undefined when nobody listens. One that listens and says nothing is busy, and holds it. */
function ask(path: string): Promise<string | undefined> {
  const { promise, resolve: done } = Promise.withResolvers<string | undefined>();
  const socket = connect(path);
  let answer = "";
  const timer = setTimeout(() => done("unknown"), ANSWER_TIMEOUT_MS);
  socket.setEncoding("utf8").on("data", (text: string) => {
    answer += text;
  });
  socket.once("end", () => done(answer || "unknown"));
  socket.once("error", (error: NodeJS.ErrnoException) => {
    done(error.code === "ECONNREFUSED" || error.code === "ENOENT" ? undefined : "unknown");
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** Takes a socket away that nobody listens on. One that came alive meanwhile is found by asking again, and put back. */
async function removeDead(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const aside = `${path}.${randomBytes(4).toString("hex")}`;
  try {
    renameSync(path, aside);
    if ((await ask(aside)) !== undefined) linkSync(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  rmSync(aside, { force: true });
}

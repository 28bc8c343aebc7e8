/**
 * Haraka as a peer: store and forward through its own queue, without AUTH and TLS, in one process. It is no dependency
 * of ours: whoever wants it beside us installs it in a folder of its own.
 *
 * What differs from its defaults favours it: no plugin but ours of three hooks, which lets loopback relay and names client and
 * next host, so that nothing is looked up; no log below errors; no process that hands connections on; more threads for the
 * files of its queue; a young generation as large as ours; what failed is tried again after 5 s. It syncs each queue file
 * before its 250, the folder not.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { startChild } from "./children.ts";
import { answers, freePort } from "./ports.ts";
import type { Absent, Target } from "./target.ts";

export const harakaInstall = "npm install Haraka@3.3.4";

const plugin = (sinkPort: number): string => `
exports.hook_lookup_rdns = (next) => next(OK, "client.bench.example");
exports.hook_connect = (next, connection) => {
  connection.relaying = true;
  next();
};
exports.hook_get_mx = (next) => next(OK, { exchange: "127.0.0.1", port: ${sinkPort}, priority: 0 });
`;

export type HarakaOrder = Readonly<{
  installed: string | null; // the folder in which it was installed
  folder: string; // empty, of its own
  sinkPort: number;
  preload: string | null; // a library that it is to load
}>;

export async function startHaraka({ installed, folder, sinkPort, preload }: HarakaOrder): Promise<Target | Absent> {
  const name = "haraka";
  if (installed === null) return { name, why: `--haraka names a folder in which ${harakaInstall} was run` };
  const place = resolve(installed, "node_modules", "Haraka");
  if (!existsSync(join(place, "package.json"))) return { name, why: `it is not in ${place} (${harakaInstall})` };
  const { version } = JSON.parse(readFileSync(join(place, "package.json"), "utf8")) as { version: string };
  const port = await freePort();
  layOut(place, folder, port, sinkPort);
  const logFile = join(folder, "haraka.log");
  const env = {
    PATH: process.env.PATH,
    UV_THREADPOOL_SIZE: "64",
    ...(preload === null ? {} : { LD_PRELOAD: preload }),
  };
  const child = startChild(process.execPath, ["--max-semi-space-size=16", join(place, "bin", "haraka"), "-c", folder], {
    env,
    logFile,
  });
  child.process.stdout?.resume();
  if (!(await answers(port, 20_000))) {
    await child[Symbol.asyncDispose]();
    return { name, why: `it did not open its port within 20 s:\n${readFileSync(logFile, "utf8").slice(-1000)}` };
  }
  return {
    name,
    about: `Haraka ${version}, queue on disk (files synced, their folder not), a connection onward per message, no AUTH`,
    ports: { off: port },
    logins: [],
    roots: [{ name: "haraka", pid: child.pid }],
    books: () => Promise.resolve([]),
    verify: () => Promise.resolve(null),
    [Symbol.asyncDispose]: async () => await child[Symbol.asyncDispose](),
  };
}

function layOut(place: string, folder: string, port: number, sinkPort: number): void {
  for (const part of ["config", "plugins", "queue"]) mkdirSync(join(folder, part), { recursive: true });
  copyFileSync(join(place, "config/connection.ini"), join(folder, "config/connection.ini"));
  const files: Record<string, string> = {
    "config/plugins": "to_the_sink\n",
    "config/me": "haraka.bench.example\n",
    "config/smtp.ini": `listen=127.0.0.1:${port}\nnodes=0\n`,
    "config/log.ini": "[main]\nlevel=error\n",
    "config/dhparams.pem": "unused\n", // else it makes some when it starts, for half a minute
    "config/outbound.ini": "enable_tls=false\ntemp_fail_intervals=5s*100\n",
    "plugins/to_the_sink.js": plugin(sinkPort),
  };
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content);
}

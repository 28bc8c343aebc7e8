/** A supervisor stops what it has started: npm. The program behind it must hear of it, end well, and leave nothing behind. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, test, vi } from "vitest";
import { childrenOf, lives } from "../support/children.ts";
import { createDatabase } from "../support/database.ts";
import { eventually, program } from "../support/relay.ts";

vi.setConfig({ testTimeout: 120_000 });

const root = join(import.meta.dirname, "..", "..");
const { postmeter } = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest).scripts;
type Manifest = { scripts: { postmeter: string } };

const folder = mkdtempSync(join(tmpdir(), "postmeter-npm-"));
const left: number[] = [];
afterAll(() => {
  for (const pid of left.filter(lives)) process.kill(pid, "SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** `npm run postmeter -- serve` with that script, until it is ready. */
async function startThroughNpm(script: string) {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ scripts: { postmeter: script } }));
  const npm = spawn("npm", ["run", "--silent", "postmeter", "--", "serve"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
    env: {
      PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
      HOME: folder,
      POSTMETER_DATABASE_URL: await createDatabase(),
      POSTMETER_DATA_DIR: join(folder, "data"),
      POSTMETER_SUBMISSION_PORT: "0",
      POSTMETER_SUBMISSIONS_PORT: "0",
      POSTMETER_HTTP_PORT: "0",
      POSTMETER_UPSTREAM_URL: "capture:",
      POSTMETER_OPERATOR_KEY: "pm_op_0123456789abcdef0123456789abcdef",
      POSTMETER_SECRET: Buffer.alloc(32, 7).toString("base64"),
    },
  });
  const ended = new Promise<number | null>((resolve) => npm.once("exit", resolve));
  for await (const line of createInterface({ input: npm.stdout })) if (line.includes('"postmeter.ready"')) break;
  npm.stdout.resume();
  const relay = lastOf(npm.pid);
  left.push(relay);
  return { npm, relay, ended };
}

function lastOf(pid: number | undefined): number {
  const [child] = childrenOf(pid);
  return child === undefined ? Number(pid) : lastOf(child);
}

test("SIGTERM to npm drains the program, and npm ends with its exit code", async () => {
  const { npm, relay, ended } = await startThroughNpm(postmeter.replace("src/main.ts", program));
  npm.kill("SIGTERM");
  expect(await ended).toBe(0);
  expect(lives(relay)).toBe(false);
});

test("control: with a shell between them the program would not hear of it", async () => {
  const script = postmeter.replace("exec ", "").replace("src/main.ts", program);
  const { npm, relay, ended } = await startThroughNpm(script);
  npm.kill("SIGTERM");
  expect(await ended).not.toBe(0);
  expect(lives(relay)).toBe(true);
  process.kill(relay, "SIGTERM");
  await eventually(async () => !lives(relay), "the program's end");
});

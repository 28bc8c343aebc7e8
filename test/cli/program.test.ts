import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { expect, onTestFinished, test } from "vitest";
import { createProgram, processCli } from "../../src/cli/program.ts";
import { startEmbedded } from "../../src/platform/embedded.ts";
import { createDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { withDatabase } from "../support/template.ts";
import { house, houseWithAccounts, runWith, secret } from "./house.ts";

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

test("every command answers in JSON when asked, and its help has examples", async () => {
  const commands = leaves(createProgram(processCli()));
  expect(commands.length).toBeGreaterThan(45);
  for (const command of commands) {
    const path = pathOf(command);
    expect(
      command.options.map((option) => option.long),
      path.join(" "),
    ).toContain("--json");
    const { code, out } = await runWith({}, ...path, "--help");
    expect(code).toBe(0);
    expect(out).toContain(`Examples:\n  $ postmeter ${path.join(" ")}`);
  }
});

test("the program tells its version", async () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));
  expect(await runWith({}, "--version")).toEqual({ code: 0, out: `${version}\n`, err: "" });
});

function pathOf(command: Command): string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()];
}

test("wrong usage ends with 2 and names what is wrong, before anything is opened", async () => {
  const wrong: [argv: string[], said: string][] = [
    [["master"], "Usage: postmeter master"],
    [["masters"], "unknown command 'masters'"],
    [["master", "show"], "missing required argument 'id'"],
    [["master", "show", "sub_01kb2m5xj7e1fr0x4m4f6a0z3q"], "It must be an id like mas_"],
    [["master", "create", "--name", "x"], "required option '--allowance"],
    [["master", "create", "--name", "x", "--allowance", "many"], "It must be a whole number"],
    [["master", "create", "--name", "x", "--allowance", "1", "--overage", "maybe"], "Allowed choices are block, bill"],
    [["subaccount", "list", "--sort", "shoe_size"], "It must be up to three of"],
    [["subaccount", "list", "--limit", "0"], "from 1 to 100000"],
    [["subaccount", "change", "sub_01kb2m5xj7e1fr0x4m4f6a0z3q", "--expires-at", "soon"], "It must be a time like"],
    [["quota", "set", "me", "1"], "of a master (mas_...) or of a subaccount"],
    [["queue", "list", "--color"], "unknown option '--color'"],
    [["ledger", "correct", "msg_01kb2m5xj7e1fr0x4m4f6a0z3q", "-3"], "required option '--note"],
    [["ledger", "archive", "--month", "2026-13"], "It must be a month like 2026-08"],
    [["ledger", "restore"], "required option '--month"],
  ];
  for (const [argv, said] of wrong) {
    const { code, out, err } = await runWith({}, ...argv);
    expect({ argv, code, out }).toEqual({ argv, code: 2, out: "" });
    expect(err).toContain(said);
  }
});

test("what a rule forbids ends with 1 and one line for each mistake", async () => {
  const { run } = await houseWithAccounts();
  const { code, out, err } = await run("master", "create", "--name", " ", "--allowance", "-1");
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err.split("\n")).toEqual([
    expect.stringMatching(/^postmeter: name: /),
    expect.stringMatching(/^postmeter: allowance: /),
    expect.stringMatching(/^postmeter: notification_emails: /),
    "",
  ]);
  expect(await run("master", "show", "mas_01kb2m5xj7e1fr0x4m4f6a0z3q")).toEqual({
    code: 1,
    out: "",
    err: "postmeter: There is no such master.\n",
  });
});

test("settings that are wrong are all named; a database that is away, or behind, is told with what to do", async () => {
  const wrong = await runWith({ POSTMETER_HTTP_PORT: "high", POSTMETER_SHOE: "1" }, "master", "list");
  expect(wrong.code).toBe(1);
  expect(wrong.err).toMatch(/POSTMETER_HTTP_PORT=high.*\n|POSTMETER_SHOE/);
  expect(wrong.err).toContain("POSTMETER_SHOE");
  const away = await runWith({ POSTMETER_DATABASE_URL: "postgres://127.0.0.1:1/x" }, "master", "list");
  expect(away).toMatchObject({ code: 1, err: expect.stringMatching(/^postmeter: PostgreSQL can't be reached: .*\n$/) });
  const missing = await runWith(
    { POSTMETER_DATABASE_URL: withDatabase(await createDatabase(), "no_such_one") },
    "master",
    "list",
  );
  expect(missing).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^postmeter: PostgreSQL lets nobody in: .*\n$/),
  });
  const behind = await runWith({ POSTMETER_DATABASE_URL: await createDatabase("template0") }, "master", "list");
  expect(behind).toMatchObject({ code: 1, err: expect.stringMatching(/not at this version.*postmeter migrate\n$/) });
});

test("a database is migrated once, and a dry run tells what would run", async () => {
  const env = { POSTMETER_DATABASE_URL: await createDatabase("template0"), POSTMETER_SECRET: secret };
  const { out } = await runWith(env, "migrate", "--dry-run", "--json");
  expect(JSON.parse(out).pending[0]).toBe("0001_accounts.sql");
  expect(await runWith(env, "migrate")).toMatchObject({ code: 0, out: expect.stringMatching(/^Done: 0001/) });
  expect(await runWith(env, "migrate")).toMatchObject({ code: 0, out: "Nothing was pending.\n" });
  expect(await runWith(env, "master", "list")).toMatchObject({ code: 0, out: "There is no master.\n" });
});

test("settings are shown without their secrets", async () => {
  const env = { POSTMETER_DATABASE_URL: "postgres://relay:hunter2@db.example/postmeter", POSTMETER_SECRET: secret };
  const shown = await runWith(env, "config", "--json");
  expect(shown.code).toBe(0);
  expect(shown.out).not.toMatch(/hunter2|BwcHBwc/);
  const serve = await runWith(env, "config", "--for", "serve");
  expect(serve.code).toBe(1);
  expect(serve.err).toContain("POSTMETER_UPSTREAM_URL: required");
});

test("a command starts the embedded database for its time, joins a running one, and leaves that running", async () => {
  const folder = mkdtempSync(join(tmpdir(), "postmeter-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const env = { POSTMETER_DATA_DIR: join(folder, "data") };
  const created = await runWith(
    env,
    "master",
    "create",
    "--name",
    "Acme",
    "--allowance",
    "none",
    "--email",
    "a@acme.example",
  );
  expect(created).toMatchObject({ code: 0, err: "" });
  await using running = await startEmbedded(env.POSTMETER_DATA_DIR, silentLog);
  const pid = running.pid();
  expect((await runWith(env, "master", "list")).out).toContain("Acme");
  expect(running.pid()).toBe(pid);
  expect(pid).toBeTypeOf("number");
});

test("other people's text can't move the cursor of the terminal", async () => {
  const { run, database } = await houseWithAccounts();
  await database.pool.query("update master set name = $1", ["\u001b[2Jgone\u202e"]);
  const { out } = await run("master", "list");
  expect(out).toContain("\ufffd[2Jgone\ufffd");
});

test("the doctor finds a healthy database healthy, and says what is wrong with another", async () => {
  const { run, json, database } = await house();
  const fine = await json("doctor", "--for", "dev");
  expect(fine.findings.filter((finding: { state: string }) => finding.state === "fail")).toEqual([]);
  expect(fine.findings.map((finding: { check: string }) => finding.check)).toEqual([
    "Node",
    "config",
    "database",
    "PostgreSQL",
    "durability",
    "migrations",
    "clock",
    "partitions",
    "oldest transaction",
    "queue",
    "jobs",
    "archive",
    "Redis",
    "certificate",
  ]);
  await database.pool.query("select graphile_worker.add_job('alert', '{}', run_at => now() - interval '1 hour')");
  const holder = await database.pool.connect();
  await holder.query("begin");
  await holder.query("select graphile_worker.add_job('alert', '{}')");
  const late = await run("doctor", "--for", "dev");
  await holder.query("rollback");
  holder.release();
  expect(late.code).toBe(0);
  expect(late.out).toMatch(/warn {2}jobs +1 due, the oldest for 60 min -> run a node with the role jobs/);
  for (const parent of ["message", "event"]) await database.pool.query(`drop table ${parent} cascade`);
  await database.pool.query("create table message (id uuid) partition by range (id)");
  const broken = await run("doctor", "--for", "dev");
  expect(broken.code).toBe(1);
  expect(broken.out).toMatch(/fail {2}partitions +ready for 0 days to come/);
});

test("the doctor goes no further than it can: wrong settings, and a database that is not there", async () => {
  const unset = await runWith({ POSTMETER_HTTP_PORT: "x" }, "doctor");
  expect(unset).toMatchObject({ code: 1, out: expect.stringMatching(/fail {2}config +POSTMETER_HTTP_PORT=x/) });
  expect(unset.out).not.toContain("PostgreSQL");
  const away = await runWith(
    { POSTMETER_DATABASE_URL: "postgres://127.0.0.1:1/x", POSTMETER_REDIS_URL: "redis://127.0.0.1:1" },
    "doctor",
    "--for",
    "dev",
  );
  expect(away.code).toBe(1);
  expect(away.out).toMatch(/fail {2}PostgreSQL +connect ECONNREFUSED.* -> check POSTMETER_DATABASE_URL/);
  expect(away.out).toMatch(/fail {2}Redis +it can't be reached/);
});

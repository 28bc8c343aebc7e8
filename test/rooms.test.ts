/** The house keeps its plan: who imports whom, who writes which table, how files are named and how long they get. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { doors, rooms, vocabulary } from "../config/dependency-cruiser.mjs";
import { cruised, violations } from "./support/cruise.ts";
import { root, sourceFiles } from "./support/source-files.ts";

const files = sourceFiles();
const modules = files.filter((file) => file.path.endsWith(".ts"));

describe("imports", () => {
  test("no module imports what it may not, and all modules were read", async () => {
    const result = await cruised(root);
    expect(violations(result)).toEqual([]);
    const read = result.modules.filter((module) => module.source.startsWith("src/"));
    expect(read.length).toBeGreaterThanOrEqual(modules.length);
    expect(modules.length).toBeGreaterThanOrEqual(100);
    const imports = read.flatMap((module) => module.dependencies).length;
    expect(imports).toBeGreaterThan(modules.length * 2);
  });

  test("each forbidden import of a played house is found", async () => {
    const house = play({
      "src/quota/gate.ts": "export type Gate = number;",
      "src/spool/accept.ts": `import { up } from "../delivery/worker.ts"; export const accept = up;`,
      "src/delivery/worker.ts": `import { bill } from "../metering/bill.ts"; import type { Gate } from "../quota/gate.ts"; export const up: Gate = bill;`,
      "src/metering/bill.ts": "export const bill = 1;",
      "src/metering/period.ts": `import { bill } from "./bill.ts"; export const start = bill;`,
      "src/mail/head.ts": `import { type Gate } from "../quota/gate.ts"; export type Head = Gate;`,
      "src/api/server.ts": `import { reply } from "../submission/reply.ts"; import { sql } from "kysely"; export const server = [reply, sql];`,
      "src/submission/reply.ts": `export { main as reply } from "../main.ts";`,
      "src/main.ts": "export const main = 1;",
      "src/accounts/find.ts": `import { gone } from "./gone.ts"; export const find = async () => [gone, await import("nodemailer")];`,
      "src/events/list.ts": `export async function list() { await using held = (await import("hono")).open(); return held; }`,
      "src/audit/a.ts": `import { b } from "./b.ts"; export const a = () => b;`,
      "src/audit/b.ts": `import { a } from "./a.ts"; export const b = () => a;`,
    });
    expect(violations(await cruised(house)).sort()).toEqual([
      "api-imports-no-door: src/api/server.ts -> src/submission/reply.ts",
      "delivery-touches-no-bill: src/delivery/worker.ts -> src/metering/bill.ts",
      "mail-stays-below: src/mail/head.ts -> src/quota/gate.ts",
      "no-circle: src/audit/a.ts -> src/audit/b.ts",
      "no-dead-end: src/accounts/find.ts -> ./gone.ts",
      "no-sql-in-doors: src/api/server.ts -> node_modules/kysely/index.js",
      "nothing-imports-main: src/submission/reply.ts -> src/main.ts",
      "only-here-hono: src/events/list.ts -> node_modules/hono/index.js",
      "only-here-nodemailer: src/accounts/find.ts -> node_modules/nodemailer/index.js",
      "pure-stays-pure: src/metering/period.ts -> src/metering/bill.ts",
      "spool-stays-below: src/spool/accept.ts -> src/delivery/worker.ts",
    ]);
  });

  test("types cross the order only where rooms share them", () => {
    expect(modules.flatMap(({ path, text }) => typesAgainst(path, text))).toEqual([]);
    const played = `import type { Gate } from "../quota/gate.ts";\nimport type {\n  Up,\n} from "../delivery/worker.ts";\n`;
    expect(typesAgainst("src/accounts/find.ts", played)).toEqual(["src/accounts/find.ts -> delivery/worker"]);
    expect(typesAgainst("src/mail/head.ts", played)).toHaveLength(2);
    expect(typesAgainst("src/api/app.ts", `import type { Reply } from "../submission/replies.ts";`)).toHaveLength(1);
  });
});

/** `import type` of rooms further up, or of another door, apart from the shared vocabulary. */
function typesAgainst(path: string, text: string): string[] {
  const own = path.split("/")[1]!;
  const ground = own === "platform" || own === "mail";
  const storey = [...rooms, ...doors].indexOf(own);
  return [...text.matchAll(/^(?:import|export) type [^;]*?from "\.\.\/([\w-]+)\/([\w-]+)\.ts";/gms)]
    .map((match) => ({ room: match[1]!, name: `${match[1]}/${match[2]}` }))
    .filter(({ room }) =>
      doors.includes(own) ? doors.includes(room) && room !== own : [...rooms, ...doors].indexOf(room) > storey,
    )
    .filter(({ name }) => ground || !vocabulary.includes(name))
    .map(({ name }) => `${path} -> ${name}`);
}

/** A house of its own with the libraries it names. */
function play(sources: Record<string, string>): string {
  const house = mkdtempSync(join(tmpdir(), "postmeter-house-"));
  onTestFinished(() => rmSync(house, { recursive: true, force: true }));
  const libraries = ["kysely", "nodemailer", "hono"];
  const packages = Object.fromEntries(
    libraries.flatMap((name) => [
      [`node_modules/${name}/package.json`, JSON.stringify({ name, version: "1.0.0", main: "index.js" })],
      [`node_modules/${name}/index.js`, "module.exports = {};"],
    ]),
  );
  const own = {
    "package.json": JSON.stringify({ name: "house", dependencies: { kysely: "1", nodemailer: "1", hono: "1" } }),
  };
  for (const [path, text] of Object.entries({ ...own, ...packages, ...sources })) {
    mkdirSync(dirname(join(house, path)), { recursive: true });
    writeFileSync(join(house, path), text);
  }
  return house;
}

describe("tables", () => {
  /** Who writes a table. Functions of migrations/ write in the name of the room that calls them. */
  const owners: Record<string, readonly string[]> = {
    master: ["accounts"],
    subaccount: ["accounts"],
    credential: ["accounts"],
    api_key: ["accounts"],
    audit_entry: ["audit"],
    idempotency: ["platform"],
    node: ["spool"],
    plan: ["accounts"],
    plan_version: ["accounts"],
    template: ["accounts"],
    billing_profile: ["accounts"],
    rate_card: ["prices"],
    rate_card_version: ["prices"],
    price_choice: ["prices"],
    price_term: [],
    statement_amount: ["metering"],
    expiry_notice: ["lifecycle"],
    master_expiry_notice: ["lifecycle"],
    transfer: ["lifecycle"],
    erasure: ["lifecycle"],
    lockout: ["accounts"],
    usage: [],
    usage_entry: ["metering", "spool"],
    summed_day: ["metering"],
    usage_day: ["metering"],
    ledger_archive: ["metering"],
    top_up: ["quota"],
    usage_order: ["accounts"],
    usage_order_state: ["accounts"],
    refusal: ["metering"],
    statement: ["metering"],
    statement_line: ["metering"],
    alert: ["alerts"],
    alert_rule: ["alerts"],
    alert_letter: ["alerts"],
    usage_mark: ["alerts"],
    letter: ["letters"],
    undeliverable_email: ["letters"],
    message: ["spool"],
    body: ["spool"],
    recipient: ["spool"],
    queue: ["spool"],
    hold: ["spool"],
    in_doubt: ["spool"],
    event: ["events", "spool"],
    sender_domain: ["domains"],
    domain_grant: ["domains"],
    captured: ["delivery"],
    brand: ["branding"],
    person: ["people"],
    member: ["people"],
    link: ["people"],
    session: ["people"],
    saved_view: ["accounts"],
    bulk_run: ["bulk"],
    bulk_item: ["bulk"],
    review: ["reviews"],
    rate_window: [],
    credit_pack: ["quota"],
    credit_lot: ["quota"],
    credit_entry: [],
  };

  function writes(text: string): string[] {
    const built = text.matchAll(/\.(?:insertInto|updateTable|deleteFrom|mergeInto)\(\s*"(\w+)"/g);
    const plain = text.matchAll(/\b(?:insert into|delete from|truncate(?: table)?|update)\s+(\w+)\b(?=[\s(`])/gi);
    return [...built, ...plain].map((match) => match[1]!).filter((table) => table in owners);
  }

  test("only a room's files write its tables", () => {
    const foreign = files.flatMap(({ path, room, text }) =>
      writes(text)
        .filter((table) => !owners[table]!.includes(room))
        .map((table) => `${path} writes ${table}`),
    );
    expect(foreign).toEqual([]);
  });

  test("a write is seen in each of its forms", () => {
    const forms = [
      `db.insertInto("usage").values()`,
      "sql`update usage set used = 1`",
      `"DELETE FROM usage where"`,
      `db.deleteFrom(\n "usage")`,
    ];
    for (const form of forms) expect(writes(form)).toEqual(["usage"]);
    expect(writes("select for update of usage; // we update usage, then go on. update usages set")).toEqual([]);
  });
});

describe("files", () => {
  test("a file's name says what it does: none is a catch-all", () => {
    const vague = /^(index|utils?|helpers?|common|manager|service|misc|types|constants)\b/;
    expect(files.map(({ path }) => path).filter((path) => vague.test(path.split("/").at(-1)!))).toEqual([]);
    expect(
      files.map(({ path }) => path).filter((path) => !/^src\/([a-z]+\/)?[a-z0-9-]+\.(ts|lua)$/.test(path)),
    ).toEqual([]);
  });

  test("no file is longer than 300 lines, and half of them are shorter than 90", () => {
    const lengths = modules
      .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
      .sort((a, b) => a.lines - b.lines);
    expect(lengths.filter(({ lines }) => lines > 300)).toEqual([]);
    expect(lengths[Math.floor(lengths.length / 2)]!.lines).toBeLessThan(90);
  });

  test("every module starts by saying what it is for", () => {
    expect(modules.filter(({ text }) => !/^(#!.*\n)?(\/\*\*\s|\/\/ )/.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test("no module has a default export", () => {
    expect(modules.filter(({ text }) => /^export default /m.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

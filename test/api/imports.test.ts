/** Subaccounts from a table: what is told before, what is done, what is handed over. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reviveRuns } from "../../src/bulk/forget.ts";
import { runSlice } from "../../src/bulk/run.ts";
import { csvPlain, csvText } from "../../src/platform/csv.ts";
import { parseId } from "../../src/platform/ids.ts";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";
import { runs } from "./runs.ts";

const door = await openDoor();
const { call, database } = door;
const master = await newMaster(door, { allowance: 1000 });
const { key } = master;
const { upload, finish, show, rows, idOf, runDeps } = runs(door, key);
const other = await newMaster(door, { name: "Other" });

const csv = (...lines: string[]) => `${lines.join("\r\n")}\r\n`;
const listed = async (query: string, by = key) =>
  (await call("GET", `/v1/subaccounts?${query}`, { key: by })).body.data;
const jobs = async () =>
  (await database.pool.query("select key from graphile_worker._private_jobs where key like 'bulk_run%'")).rows.length;

describe("a dry run", () => {
  test("says of each row what would be done, with line, column and reason, and does nothing", async () => {
    await newSubaccount(door, master, { name: "Old", external_id: "d-1", plan: "gold", monthly_limit: 10 });
    await newSubaccount(door, master, { name: "Same", external_id: "d-2", monthly_limit: 10 });
    const theirs = await newSubaccount(door, other, { name: "Theirs", external_id: "d-9" });
    const before = await jobs();
    const answer = await upload(
      csv(
        "external_id,id,name,monthly_limit,plan,notes",
        "d-1,,Old,20,gold,",
        "d-2,,Same,10,,",
        'd-3,,New,none,tin,"two',
        'lines"',
        "d-4,,,5,,",
        "d-5,,Shop,many,,",
        "d-6,,Shop,,,",
        "d-3,,Again,1,,",
        `,${theirs.id},Theirs,1,,`,
        ",,Nobody,1,,",
        "",
        "d-7,,short",
      ),
      "?dry_run=true",
    );
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body).toMatchObject({
      state: "previewed",
      total: 10,
      done: 0,
      planned: { create: 1, change: 1, same: 1, error: 7 },
    });
    const brief = answer.body.rows.map((row: { line: number; action: string; errors: { column: string }[] }) => [
      row.line,
      row.action,
      row.errors.map(({ column }) => column).join(),
    ]);
    expect(brief).toEqual([
      [2, "change", ""],
      [3, "same", ""],
      [4, "create", ""],
      [6, "error", "name"],
      [7, "error", "monthly_limit"],
      [8, "error", "monthly_limit"],
      [9, "error", "external_id"],
      [10, "error", "id"],
      [11, "error", "external_id"],
      [13, "error", ""],
    ]);
    expect(answer.body.rows[0]).toMatchObject({ before: { monthly_limit: 10 }, after: { monthly_limit: 20 } });
    expect(answer.body.rows[2].after).toMatchObject({ name: "New", monthly_limit: null, notes: "two\r\nlines" });
    expect(answer.body.errors[0]).toEqual({ line: 6, column: "name", detail: "This is required." });
    expect(answer.text).not.toContain('Theirs"');
    expect(await listed("external_id=d-3")).toEqual([]);
    expect(await jobs()).toBe(before);
  });

  test("can be started as it is, once", async () => {
    const { body } = await upload(csv("external_id,name,monthly_limit", "s-1,Started,5"), "?dry_run=true");
    const start = () => call("POST", `/v1/imports/${body.id}/start`, { key });
    const started = await Promise.all(Array.from({ length: 5 }, start));
    expect(started.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    await finish(body.id);
    expect(await show(body.id)).toMatchObject({ state: "done", total: 1, done: 1, created: 1 });
    expect(await listed("external_id=s-1")).toMatchObject([{ name: "Started", monthly_limit: 5 }]);
    const { body: audit } = await call("GET", `/v1/audit?target=${body.id}`, { key });
    expect(audit.data.map(({ action }: { action: string }) => action)).toEqual(["import.started"]);
  });
});

test.each([
  ["", /empty/],
  ["name,plan\r\na,b\r\n", /id or external_id/],
  ["external_id,secret\r\na,b\r\n", /no column "secret"/],
  ["external_id,name,name\r\na,b,c\r\n", /name is there twice/],
  ["external_id,name\r\n", /no row/],
  ['external_id,name\r\na,"b\r\n', /quote is opened/],
  ['external_id,name\r\na,"b"c\r\n', /closing quote/],
  [`external_id,name\r\na,${"x".repeat(70_000)}\r\n`, /at most 65536 characters/],
])("a file that can't be read (%j) is 422 and leaves nothing", async (text, reason) => {
  const count = async () => (await database.pool.query("select count(*) from bulk_run")).rows[0].count;
  const before = await count();
  const answer = await upload(text);
  expect([answer.status, answer.body.detail]).toEqual([422, expect.stringMatching(reason)]);
  expect(await count()).toBe(before);
});

test("what is not UTF-8, or no table, is refused", async () => {
  const bytes = new Uint8Array([...Buffer.from("external_id,name\r\na,"), 0xff, 0xfe, 13, 10]);
  const send = (body: unknown, type: string) =>
    door.app.app.request("/v1/subaccounts/import", {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": type },
      body: body as never,
    });
  const wrong = await send(bytes, "text/csv; charset=utf-8");
  expect([wrong.status, ((await wrong.json()) as { detail: string }).detail]).toEqual([
    422,
    "The file is not in UTF-8.",
  ]);
  expect((await send("{}", "application/json")).status).toBe(415);
});

describe("a run", () => {
  test("creates, changes, leaves alone and fails row by row, each audited in the name of who asked", async () => {
    await newSubaccount(door, master, { name: "Runner", external_id: "r-1", monthly_limit: 10 });
    await newSubaccount(door, master, { name: "Fine", external_id: "r-2", monthly_limit: 10 });
    await newSubaccount(door, other, { name: "Taken", slug: "a-taken-slug" });
    const answer = await upload(
      csv(
        "external_id,name,monthly_limit,slug,onboarding,owner_email",
        "r-1,Runner up,20,runner-slug,,",
        "r-2,Fine,10,,,",
        "r-3,Made,30,,,",
        "r-4,Slug,30,a-taken-slug,,",
        "r-5,Much,2000,,,",
        "r-6,Invited,5,,invite,new@corner.example",
        "r-7,Bad,x,,,",
      ),
    );
    expect(answer.status, answer.text).toBe(202);
    expect(answer.body).toMatchObject({ state: "running", total: 7, done: 0 });
    expect(await jobs()).toBeGreaterThan(0);
    await finish(answer.body.id);
    const shown = await show(answer.body.id);
    expect(shown).toMatchObject({ state: "done", done: 7, created: 2, changed: 1, failed: 4 });
    expect(shown.errors.map(({ line, column }: { line: number; column: string }) => [line, column])).toEqual([
      [3, "slug"],
      [5, "slug"],
      [6, "monthly_limit"],
      [8, "monthly_limit"],
    ]);
    expect(await listed("external_id=r-1")).toMatchObject([{ name: "Runner up", monthly_limit: 20 }]);
    expect(await listed("external_id=r-6")).toMatchObject([{ state: "pending" }]);
    const letters = await database.pool.query("select 1 from recipient where address = 'new@corner.example'");
    expect(letters.rows).toHaveLength(1);
    expect(await listed("external_id=r-5")).toEqual([]);
    const made = (await listed("external_id=r-3"))[0].id;
    const { body: audit } = await call("GET", `/v1/audit?target=${made}`, { key });
    expect(audit.data.at(-1)).toMatchObject({ action: "subaccount.created", actor: { kind: "master" } });
    expect(await rows(answer.body.id, "?wrong=true")).toHaveLength(4);
    const changed = (await listed("external_id=r-1"))[0].id;
    expect(door.published).toContain(parseId("sub", changed));
  });

  test("repeated with the same file changes nothing", async () => {
    const file = csv("external_id,name,monthly_limit,plan", "t-1,One,5,gold", "t-2,Two,6,");
    const first = await upload(file);
    await finish(first.body.id);
    const again = await upload(file);
    await finish(again.body.id);
    expect(await show(again.body.id)).toMatchObject({ created: 0, changed: 0, unchanged: 2, failed: 0 });
  });

  test("that dies in the middle goes on where it was, and does no row twice", async () => {
    const names = Array.from({ length: 12 }, (_, n) => `c-${n},Crash ${n},1`);
    const { body } = await upload(csv("external_id,name,monthly_limit", ...names));
    let calls = 0;
    const dying = {
      ...runDeps.keyring,
      newSecret() {
        calls += 1;
        if (calls === 5) throw Object.assign(new Error("Connection terminated unexpectedly"));
        return runDeps.keyring.newSecret();
      },
    };
    await expect(runSlice(database.db, idOf(body.id), { ...runDeps, keyring: dying }, 60_000)).rejects.toThrow(
      "terminated",
    );
    expect(await show(body.id)).toMatchObject({ state: "running", done: 4, created: 4 });
    expect(await reviveRuns(database.db)).toBe(0);
    await database.pool.query("update bulk_run set touched_at = touched_at - interval '2 minutes' where id = $1", [
      idOf(body.id),
    ]);
    expect(await reviveRuns(database.db)).toBe(1);
    // Two at once, as if the first had only been slow.
    await Promise.all([finish(body.id), finish(body.id), finish(body.id)]);
    await finish(body.id);
    expect(await show(body.id)).toMatchObject({ state: "done", done: 12, created: 12, failed: 0 });
    expect(await listed("q=Crash&limit=100")).toHaveLength(12);
  });

  test("what fails is noted at the row that was tried, also when another worker was faster", async () => {
    await newSubaccount(door, master, { name: "Taken", slug: "taken-slug" });
    const { body } = await upload(
      csv("external_id,name,monthly_limit,slug", "w-1,Slow,1,taken-slug", "w-2,Fast,1,", "w-3,Last,1,"),
    );
    let transactions = 0;
    // Before the failure of the first row is written down, another worker does that row, as far as it goes.
    const slow = new Proxy(database.db, {
      get(db, name) {
        if (name !== "transaction") return Reflect.get(db, name);
        transactions += 1;
        if (transactions !== 2) return () => db.transaction();
        return () => ({
          async execute<T>(work: Parameters<ReturnType<typeof db.transaction>["execute"]>[0]) {
            await runSlice(db, idOf(body.id), runDeps, 0);
            return (await db.transaction().execute(work)) as T;
          },
        });
      },
    });
    await runSlice(slow, idOf(body.id), runDeps);
    await finish(body.id);
    expect(transactions).toBeGreaterThan(2);
    expect(await show(body.id)).toMatchObject({ state: "done", done: 3, created: 2, failed: 1 });
    expect((await listed("q=Fast")).map(({ name }: { name: string }) => name)).toEqual(["Fast"]);
  });

  test("a mistake of ours fails its row alone, and its words stay with us", async () => {
    const { body } = await upload(csv("external_id,name,monthly_limit", "b-1,Bug,1", "b-2,Bug,1"));
    let calls = 0;
    const broken = {
      ...runDeps.keyring,
      newSecret() {
        calls += 1;
        if (calls === 1) throw new TypeError("secret words");
        return runDeps.keyring.newSecret();
      },
    };
    await finish(body.id, { keyring: broken });
    const shown = await show(body.id);
    expect(shown).toMatchObject({ created: 1, failed: 1 });
    expect(JSON.stringify(shown)).not.toContain("secret words");
  });

  test("ends when who asked for it may do so no more", async () => {
    const asking = await call("POST", "/v1/keys", { key, body: { name: "short", scopes: ["full"] } });
    const { body } = await upload(csv("external_id,name,monthly_limit", "k-1,Key,1"), "", asking.body.key);
    await call("DELETE", `/v1/keys/${asking.body.id}`, { key });
    await finish(body.id);
    expect(await show(body.id)).toMatchObject({ state: "stopped", done: 0, detail: expect.stringMatching(/revoked/) });
    const second = await upload(csv("external_id,name,monthly_limit", "k-1,Key,1"));
    await call("POST", `/v1/masters/${master.masterId}/suspend`, { key: OPERATOR_KEY });
    await finish(second.body.id);
    await call("POST", `/v1/masters/${master.masterId}/resume`, { key: OPERATOR_KEY });
    expect(await show(second.body.id)).toMatchObject({ state: "stopped", detail: expect.stringMatching(/suspended/) });
    expect(await listed("external_id=k-1")).toEqual([]);
    const { body: log } = await call("GET", `/v1/audit?target=${body.id}`, { key });
    expect(log.data[0]).toMatchObject({
      action: "import.stopped",
      actor: { kind: "system" },
      after: { state: "stopped", detail: expect.stringMatching(/revoked/) },
    });
  });

  test("that is stopped leaves the rest undone", async () => {
    const { body } = await upload(csv("external_id,name,monthly_limit", "x-1,Stop,1"));
    const stop = () => call("POST", `/v1/imports/${body.id}/stop`, { key });
    expect([(await stop()).body.state, (await stop()).body.state]).toEqual(["stopped", "stopped"]);
    await finish(body.id);
    expect(await listed("external_id=x-1")).toEqual([]);
  });
});

describe("credentials", () => {
  const made = async (prefix: string) => {
    const { body } = await upload(csv("external_id,name,monthly_limit", `${prefix}-1,=Shop,1`, `${prefix}-2,Shop,1`));
    return body.id as string;
  };
  const take = (id: string, by = key) => call("POST", `/v1/imports/${id}/credentials`, { key: by });

  test("of those that were created are handed over once, and open what they should", async () => {
    const id = await made("h");
    expect((await take(id)).status).toBe(409);
    await finish(id);
    expect((await show(id)).credentials).toBe(true);
    expect((await take(id, other.key)).status).toBe(404);
    const kept = await database.pool.query("select secret from bulk_item where run_id = $1", [idOf(id)]);
    const all = await Promise.all(Array.from({ length: 20 }, () => take(id)));
    const [given, ...none] = all.sort((a, b) => a.status - b.status);
    expect(none.map(({ status }) => status)).toEqual(Array(19).fill(404));
    expect([given!.status, given!.headers.get("cache-control")]).toEqual([200, "no-store"]);
    const lines = given!.text.trim().split("\r\n");
    expect(lines[0]).toBe("id,external_id,name,username,password,log_in_url");
    expect(lines[1]).toContain(`"h-1","'=Shop"`);
    const [, , , username = "", password = ""] = lines[2]!.split(",");
    const { rows: credentials } = await database.pool.query("select secret_hash from credential where username = $1", [
      username,
    ]);
    expect(door.keyring.hash(password).equals(credentials[0].secret_hash)).toBe(true);
    for (const { secret } of kept.rows) expect(secret.toString("latin1")).not.toContain(password);
    const left = await database.pool.query("select 1 from bulk_item where run_id = $1 and secret is not null", [
      idOf(id),
    ]);
    expect(left.rows).toEqual([]);
    expect((await show(id)).credentials).toBe(false);
  });

  test("are gone a day after the end", async () => {
    const id = await made("g");
    await finish(id);
    await database.pool.query("update bulk_run set finished_at = finished_at - interval '25 hours' where id = $1", [
      idOf(id),
    ]);
    expect((await take(id)).status).toBe(404);
  });
});

describe("what was downloaded comes back as it was", () => {
  test("a cell made harmless is taken back, whatever stood in it", () => {
    const odd = fc.stringMatching(/^['=+\-@\t\r\n＝ a]{0,6}$/);
    const unquoted = (cell: string) => cell.slice(1, -1).replaceAll('""', '"');
    fc.assert(
      fc.property(fc.oneof(odd, fc.string({ unit: "binary" })), (text) => {
        const cell = unquoted(csvText(text));
        expect(csvPlain(cell)).toBe(text);
        expect(cell).not.toMatch(/^\s*[=+\-@＝＋－＠]/u);
      }),
      { numRuns: 2000 },
    );
    // Control: a quote that is always taken away loses those that were there.
    const careless = (cell: string) => (cell.startsWith("'") ? cell.slice(1) : cell);
    expect(careless(unquoted(csvText("'quoted'")))).not.toBe("'quoted'");
  });

  test("the whole table, uploaded again, changes nothing; one cell changed changes that", async () => {
    const keeper = await newMaster(door, { name: "Keeper" });
    const their = runs(door, keeper.key);
    const line = fc.stringMatching(/^['=+@a-z,";-][a-z '=",;-]{0,12}$/).filter((text) => /\S/.test(text));
    const texts = fc.sample(line, 8);
    for (const [n, text] of texts.entries()) {
      await newSubaccount(door, keeper, {
        name: text,
        external_id: `${text}${n}`,
        notes: `${text}\n\t=${text}`,
        plan: n % 2 === 0 ? text : null,
        monthly_limit: n % 3 === 0 ? null : n,
        notification_emails: [{ email: `a${n}@x.example`, topics: ["quota"] }, `b${n}@x.example`],
        alert_thresholds: [50, 90],
        expires_at: "2031-01-01T00:00:00.123Z",
        metadata: { kept: n },
      });
    }
    const table = await call("GET", "/v1/subaccounts", { key: keeper.key, headers: { Accept: "text/csv" } });
    const answer = await their.upload(table.text, "?dry_run=true");
    expect(answer.body).toMatchObject({ planned: { create: 0, change: 0, same: 8, error: 0 } });
    expect(answer.body.ignored_columns).toContain("used_percent");
    const changed = await their.upload(table.text.replace("2031-01-01", "2032-01-01"), "?dry_run=true");
    expect(changed.body.planned).toEqual({ create: 0, change: 1, same: 7, error: 0 });
  });
});

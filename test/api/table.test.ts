/** Subaccounts as a table: the list, whole, safe for a spreadsheet, read while it is taken. */
import { describe, expect, test, vi } from "vitest";
import { startApi } from "../../src/api/server.ts";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor({ allowFailures: true });
const { call, database } = door;
const master = await newMaster(door);
const { key } = master;
await newSubaccount(door, master, {
  name: "Corner Shop",
  monthly_limit: 10,
  plan: "gold",
  owner_email: "a@shop.example",
});
await newSubaccount(door, master, {
  name: '=HYPERLINK("x")',
  monthly_limit: null,
  plan: "tin",
  notes: "+1, say\nmore",
});
await newSubaccount(door, master, { name: "Bäckerei", monthly_limit: 30, plan: "gold", external_id: "@7" });
const other = await newMaster(door, { name: "Other" });
await newSubaccount(door, other, { name: "of another" });

const csv = { Accept: "text/csv" };
const table = (query = "", asked: { key?: string } = { key }) =>
  call("GET", `/v1/subaccounts${query}`, { ...asked, headers: csv });

/** Each row split at commas outside of quotes. */
function rowsOf(text: string): string[][] {
  const rows = [...text.matchAll(/((?:[^"\r]|"[^"]*")*)\r\n/g)].map(([, row]) => row!);
  return rows.map((row) => [...`${row},`.matchAll(/((?:[^",]|"[^"]*")*),/g)].map(([, cell]) => cell!));
}

test("it has the rows of the list in its order, and says what it is", async () => {
  const answer = await table();
  expect(answer.headers.get("content-type")).toBe("text/csv; charset=utf-8");
  expect(answer.headers.get("content-disposition")).toMatch(
    /^attachment; filename="subaccounts-\d{4}-\d\d-\d\d\.csv"$/,
  );
  expect(answer.headers.get("cache-control")).toBe("no-store");
  const [header, ...rows] = rowsOf(answer.text);
  const listed = await call("GET", "/v1/subaccounts", { key });
  expect(rows.map(([id]) => id)).toEqual(listed.body.data.map(({ id }: { id: string }) => id));
  expect(header).toContain("used_percent");
  expect(rows.every((row) => row.length === header!.length)).toBe(true);
  expect(answer.text).not.toContain("of another");
});

test("filters, search and order are those of the list; columns come as they are asked for", async () => {
  const answer = await table("?plan=gold&sort=-monthly_limit&columns=monthly_limit,name,external_id");
  expect(answer.text).toBe('monthly_limit,name,external_id\r\n30,"Bäckerei","\'@7"\r\n10,"Corner Shop",\r\n');
  expect((await table("?q=nothing+like+that&columns=name")).text).toBe("name\r\n");
});

test("no text of others is a formula", async () => {
  const answer = await table("?plan=tin&columns=name,notes,monthly_limit");
  expect(answer.text).toBe(`name,notes,monthly_limit\r\n"'=HYPERLINK(""x"")","'+1, say\nmore",\r\n`);
});

test("the operator's table says whose each is, a master's does not", async () => {
  expect(rowsOf((await table()).text)[0]).not.toContain("master_id");
  const [header, ...rows] = rowsOf((await table("", { key: OPERATOR_KEY })).text);
  const owners = new Set(rows.map((row) => row[header!.indexOf("master_id")]));
  expect(owners).toEqual(new Set([master.masterId, other.masterId]));
});

describe("what means nothing is refused by name", () => {
  test.each([
    ["?columns=name,secret", csv, "/columns", /one or more of/],
    ["?limit=5", csv, "/limit", /all that match/],
    ["?cursor=x", csv, "/cursor", /all that match/],
    ["?columns=name", { Accept: "application/json" }, "/columns", /Accept: text\/csv/],
  ] as const)("%s as %o", async (query, headers, pointer, detail) => {
    const answer = await call("GET", `/v1/subaccounts${query}`, { key, headers });
    expect(answer.status).toBe(422);
    expect(answer.body.errors).toEqual([{ pointer, detail: expect.stringMatching(detail) }]);
  });
});

describe("thousands", () => {
  const many = 2500;

  async function crowd() {
    const crowded = await newMaster(door, { name: "Crowded" });
    const { id } = await newSubaccount(door, crowded, { name: "one of many" });
    await database.pool.query(
      `insert into subaccount (id, master_id, name, slug, monthly_limit, created_at, updated_at)
       select gen_random_uuid(), s.master_id, 'shop ' || n, s.slug || '-' || n, n, pm_now(), pm_now()
         from subaccount s, generate_series(2, $2::int) n where s.slug = $1`,
      [(await call("GET", `/v1/subaccounts/${id}`, { key: crowded.key })).body.slug, many],
    );
    return crowded;
  }

  test("are all there, each once", async () => {
    const crowded = await crowd();
    const [, ...rows] = rowsOf((await table("?columns=id", { key: crowded.key })).text);
    expect(rows).toHaveLength(many);
    expect(new Set(rows.map(([id]) => id)).size).toBe(many);
  });

  test("a table that can't be read to its end is cut off, and never ends well", async () => {
    const crowded = await crowd();
    await using server = await startApi(door.deps);
    const url = `http://127.0.0.1:${server.port}/v1/subaccounts`;
    const headers = { ...csv, Authorization: `Bearer ${crowded.key}` };
    const response = await fetch(url, { headers });
    expect(response.status).toBe(200);
    await database.pool.query("alter table usage rename to usage_away");
    const printed = vi.spyOn(console, "error");
    const { received, ended } = await take(response);
    await database.pool.query("alter table usage_away rename to usage");
    expect([ended, received]).toEqual(["badly", expect.stringMatching(/^id,name/)]);
    expect(received).not.toMatch(/error|relation/i);
    expect(printed).not.toHaveBeenCalled();
    expect(door.lines.findLast(({ event }) => event === "api.table_failed")).toBeDefined();
    expect(rowsOf(await (await fetch(`${url}?columns=id`, { headers })).text())).toHaveLength(many + 1);
  });

  /** As much as comes. */
  async function take(response: Response) {
    let received = "";
    try {
      for await (const chunk of response.body!) received += Buffer.from(chunk).toString();
      return { received, ended: "well" };
    } catch {
      return { received, ended: "badly" };
    }
  }

  test("who leaves in the middle keeps nothing busy", async () => {
    const crowded = await crowd();
    const failures = () => door.lines.filter(({ event }) => event === "api.table_failed").length;
    const before = failures();
    await using server = await startApi(door.deps);
    const leaving = new AbortController();
    const headers = { ...csv, Authorization: `Bearer ${crowded.key}` };
    const response = await fetch(`http://127.0.0.1:${server.port}/v1/subaccounts`, { headers, signal: leaving.signal });
    await response.body!.getReader().read();
    leaving.abort();
    await server.drain();
    expect(failures()).toBe(before);
  });
});

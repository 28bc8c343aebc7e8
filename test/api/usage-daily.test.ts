/** `GET /v1/usage/daily`: each subaccount day by day, whether its days are summed or not, in the master's own dates. */
import { expect, test } from "vitest";
import { type DateUsageFilter, listDateUsage } from "../../src/metering/dates-usage.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { parseId } from "../../src/platform/ids.ts";
import { addEntries, makeDays } from "../support/old-entries.ts";
import { type Child, newMaster, newSubaccount, openDoor, type Tenant } from "./client.ts";

const door = await openDoor();
const { call, database } = door;
const master = await newMaster(door, { time_zone: "America/New_York" });
const { key } = master;
const shop = await newSubaccount(door, master, { external_id: "=shop", name: "Shop" });
const cafe = await newSubaccount(door, master, { name: "Cafe" });
const other = await newMaster(door);
const stranger = await newSubaccount(door, other);

const periodStart = new Date("2026-06-01T04:00:00Z"); // midnight in New York
await makeDays(database, Date.parse("2026-05-31T00:00:00Z"), Date.parse("2026-07-02T00:00:00Z"));

async function used(
  { masterId }: Tenant,
  { id }: Child,
  at: string,
  units: number,
  kind: "accept" | "correction" = "accept",
) {
  const of = { masterId: parseId("mas", masterId)!, subaccountId: parseId("sub", id)! };
  await addEntries(database, [{ ...of, periodStart, atMs: Date.parse(at), units, kind }]);
}

const ask = async (query = "", as = key) => call("GET", `/v1/usage/daily?period=2026-06-01${query}`, { key: as });

async function all(limit: number) {
  const rows = [];
  for (let cursor = ""; ; ) {
    const { body } = await ask(`&limit=${limit}${cursor}`);
    rows.push(...body.data);
    if (!body.has_more) return rows;
    cursor = `&cursor=${encodeURIComponent(body.next_cursor)}`;
  }
}

const brief = (rows: { date: string; name: string; billed_units: number }[]) =>
  rows.map(({ date, name, billed_units }) => `${date} ${name} ${billed_units}`);

const told = ["2026-06-01 Shop 4", "2026-06-02 Shop 7", "2026-06-02 Cafe 2", "2026-06-03 Cafe -1", "2026-06-30 Shop 9"];

test("each date has what was sent on it, as of entries and as of kept sums", async () => {
  expect((await ask()).body).toEqual({ data: [], has_more: false, next_cursor: null });
  await used(master, shop, "2026-06-01T03:59:59Z", 1); // its upload began before the period did: that is the first date's
  await used(master, shop, "2026-06-02T03:59:59Z", 3);
  await used(master, shop, "2026-06-02T04:00:00Z", 7);
  await used(master, cafe, "2026-06-02T12:00:00Z", 2);
  await used(master, cafe, "2026-06-03T12:00:00Z", -1, "correction");
  await used(master, shop, "2026-07-01T03:59:00Z", 9); // the last date
  await used(other, stranger, "2026-06-02T12:00:00Z", 50);
  expect(brief((await ask()).body.data)).toEqual(told);
  for (const limit of [1, 2, 3]) expect(brief(await all(limit))).toEqual(told);
  await sumDays(database.db);
  for (const limit of [1, 100]) expect(brief(await all(limit))).toEqual(told);
  await used(master, cafe, "2026-06-02T13:00:00Z", 5); // late: the day is read from its entries again
  expect(brief((await ask()).body.data)[2]).toBe("2026-06-02 Cafe 7");
});

test("a day whose sums were cut in another zone is read from its entries", async () => {
  await sumDays(database.db);
  await database.pool.query(
    "update usage_day set since = '2026-06-02T00:00:00Z', units = units + 1000 where entry_day = '2026-06-02' and subaccount_id = $1",
    [parseId("sub", cafe.id)],
  );
  expect(brief((await ask()).body.data).slice(0, 3)).toEqual([
    "2026-06-01 Shop 4",
    "2026-06-02 Shop 7",
    "2026-06-02 Cafe 7",
  ]);
});

test("a list that was begun in the running period stays in it when that ends", async () => {
  const of = { masterId: parseId("mas", master.masterId)!, limit: 100 };
  const read = async (filter: Partial<DateUsageFilter>) =>
    (await listDateUsage(database.db, { kind: "operator", via: "cli" }, { ...of, ...filter }, database.clock)).map(
      ({ date, name, units }) => `${date} ${name} ${units}`,
    );
  const whole = await read({ period: "2026-06-01" });
  const position = ["2026-06-01", "2026-06-01", parseId("sub", shop.id)!] as const;
  expect(await read({ after: position })).toEqual(whole.slice(1));
  expect(await read({})).toEqual([]);
});

test("as a table it is the same rows, and no text of it is a formula", async () => {
  const { text, headers } = await call("GET", "/v1/usage/daily?period=2026-06-01", {
    key,
    headers: { Accept: "text/csv" },
  });
  expect(headers.get("content-type")).toBe("text/csv; charset=utf-8");
  const [header, first] = text.trimEnd().split("\r\n");
  expect(header).toBe("date,subaccount_id,external_id,name,messages,units,corrections,billed_units");
  expect(first).toBe(`2026-06-01,${shop.id},"'=shop","Shop",2,4,0,4`);
});

test("only a master sees it, and its own", async () => {
  expect(brief((await ask("", other.key)).body.data)).toEqual([]);
  expect((await ask("", shop.key)).status).toBe(403);
  expect((await ask("&limit=0")).status).toBe(422);
  expect((await call("GET", "/v1/usage/daily?period=2026-06-02", { key })).body.errors).toMatchObject([
    { pointer: "/period" },
  ]);
});

/** `GET /v1/usage/export`: what a billing system polls. */
import { expect, test } from "vitest";
import { sumDays } from "../../src/metering/sum-days.ts";
import { parseId } from "../../src/platform/ids.ts";
import { addEntries, makeDays } from "../support/old-entries.ts";
import { type Child, newMaster, newSubaccount, OPERATOR_KEY, openDoor, type Tenant } from "./client.ts";

const door = await openDoor();
const { call, database } = door;
const master = await newMaster(door);
const { key } = master;
const shop = await newSubaccount(door, master, { external_id: "=shop" });
const other = await newMaster(door);
const stranger = await newSubaccount(door, other);

const noon = Date.parse("2026-06-10T12:00:00Z");
const DAY_MS = 86_400_000;
await makeDays(database, noon, noon + DAY_MS);

async function used({ masterId }: Tenant, { id }: Child, day: number, units: number): Promise<void> {
  const of = { masterId: parseId("mas", masterId)!, subaccountId: parseId("sub", id)! };
  const at = { atMs: noon + day * DAY_MS, periodStart: new Date("2026-06-01T00:00:00Z") };
  await addEntries(database, [{ ...of, ...at, units, kind: "accept" }]);
}

const ask = async (query = "", as = key) => call("GET", `/v1/usage/export${query}`, { key: as });

test("it starts empty, hands out what is final, and goes on from there", async () => {
  expect((await ask()).body).toEqual({ data: [], has_more: false, next: null });
  await used(master, shop, 0, 3);
  await used(master, shop, 1, 4);
  await used(other, stranger, 0, 50);
  await sumDays(database.db);
  const first = await ask("?limit=1");
  expect(first.body).toMatchObject({
    has_more: true,
    data: [{ subaccount_id: shop.id, external_id: "=shop", messages: 1 }],
  });
  const second = await ask(`?limit=1&after=${first.body.next}`);
  expect(second.body.has_more).toBe(false);
  const billed = [...first.body.data, ...second.body.data].map((row) => row.billed_units);
  expect(billed.sort()).toEqual([3, 4]);
  const third = await ask(`?after=${second.body.next}`);
  expect(third.body).toEqual({ data: [], has_more: false, next: second.body.next });
});

test("as a table it is the same rows, and no text of it is a formula", async () => {
  const { text, headers } = await call("GET", "/v1/usage/export", { key, headers: { Accept: "text/csv" } });
  expect(headers.get("content-type")).toBe("text/csv; charset=utf-8");
  const [header, ...rows] = text.trimEnd().split("\r\n");
  expect(header?.split(",")).toEqual(Object.keys((await ask()).body.data[0]));
  expect(rows).toHaveLength(2);
  expect(rows[0]).toContain(`"'=shop"`);
});

test("a place of somebody else, or a made-up one, is refused; a subaccount is", async () => {
  const { next } = (await ask("", OPERATOR_KEY)).body;
  const foreign = await ask(`?after=${next}&master_id=${master.masterId}`, OPERATOR_KEY);
  expect(foreign.status).toBe(422);
  expect(foreign.body.errors).toMatchObject([{ pointer: "/after" }]);
  for (const wrong of ["x", "%00", "a".repeat(2000)]) expect((await ask(`?after=${wrong}`)).status).toBe(422);
  for (const limit of ["0", "1001", "1.5"]) expect((await ask(`?limit=${limit}`)).status).toBe(422);
  const units = (await ask("", OPERATOR_KEY)).body.data.map((row: { units: number }) => row.units);
  expect(units.sort()).toEqual([3, 4, 50]);
  expect((await ask(`?after=${next}`)).body.data).toEqual([]); // his place says where, never whose
});

/** Whatever tenants do, each sees only its own, and the books are right. `npm run faults` plays longer. */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { play } from "./invented.ts";
import { openHouse, steps } from "./invented-house.ts";

vi.setConfig({ testTimeout: 180_000 });
const house = await openHouse();
const { pool } = house.door.database;

test("invented tenants and deeds leave isolation and the sums as they must be", async () => {
  const property = fc.asyncProperty(steps(24), async (given) => {
    expect(await play(house, given)).toEqual([]);
  });
  await fc.assert(property, { numRuns: 2, endOnFailure: true });
});

test("controls: a counter that is off, a guard that is gone, and a message that changed hands are found", async () => {
  const sends = Array.from({ length: 4 }, (_, i) => [0, 0, i, 0] as const);
  await pool.query(
    "create function skew() returns trigger language plpgsql as $$ begin new.used := new.used + 1; return new; end $$",
  );
  await pool.query("create trigger skew before update of used on usage for each row execute function skew()");
  expect((await play(house, sends)).join("\n")).toMatch(/usage of mark-\d+-s is \d+, not \d+\n[\s\S]*ledger verify/);
  await pool.query("drop trigger skew on usage");
  await pool.query(
    "create function steal() returns trigger language plpgsql as $$ begin new.master_id := (select id from master order by created_at limit 1); return new; end $$",
  );
  await pool.query("create trigger steal before insert on audit_entry for each row execute function steal()");
  await play(house, [[3, 0, 0, 7]]);
  await pool.query("drop trigger steal on audit_entry");
  const first = (await pool.query("select id from master order by created_at limit 1")).rows[0].id;
  expect(
    (await pool.query("select from audit_entry where master_id = $1 and action = 'master.created'", [first])).rowCount,
  ).toBeGreaterThan(1);
});

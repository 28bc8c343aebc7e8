/** A subaccount's own history of bills: what it may see, when, and what it never sees. */
import { beforeAll, describe, expect, test } from "vitest";
import { findMaster, findSubaccount } from "../../src/accounts/find.ts";
import { moveAccount } from "../../src/accounts/move-account.ts";
import type { Operator } from "../../src/accounts/principal.ts";
import { closeMaster } from "../../src/metering/close.ts";
import { addCorrection } from "../../src/metering/correction.ts";
import { periodAt } from "../../src/metering/period.ts";
import { formatId, type MessageId, parseId } from "../../src/platform/ids.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { utcMonths } from "../support/submission.ts";
import { type Child, newMaster, newSubaccount, OPERATOR_KEY, openDoor, type Tenant } from "./client.ts";

const door = await openDoor();
const { call, database } = door;
const { db, clock } = database;
const operator: Operator = { kind: "operator", via: "cli" };
const { start, end } = periodAt(utcMonths, clock.now());
const DAY_MS = 86_400_000;

const inDays = (days: number) => later(database, end.getTime() - clock.now().getTime() + days * DAY_MS);
const accountOf = (master: Tenant, id: string) => ({
  masterId: parseId("mas", master.masterId)!,
  subaccountId: parseId("sub", id)!,
});
const path = (id: string, query = "") => `/v1/subaccounts/${id}/statements${query}`;
const history = async (id: string, key: string, query = "") => (await call("GET", path(id, query), { key })).body.data;
const allow = (master: Tenant, id: string, on = true) =>
  call("PATCH", `/v1/subaccounts/${id}`, { key: master.key, body: { features: { billing_history: on } } });

describe("under one master", () => {
  let master: Tenant;
  let shop: Child;
  let mill: Child;

  beforeAll(async () => {
    master = await newMaster(door, { allowance: 20, overage: "bill" });
    shop = await newSubaccount(door, master, { monthly_limit: 50 });
    mill = await newSubaccount(door, master);
    const card = { currency: "EUR", price_minor: 3000, included_units: 10, overage_per_1000: "100000" };
    const standard = { ...card, name: "Standard", is_default: true };
    await call("POST", "/v1/rate_cards", { key: master.key, body: standard });
    const sold = (await call("POST", "/v1/rate_cards", { key: OPERATOR_KEY, body: { ...card, name: "Sold" } })).body;
    const given = { rate_card_id: sold.id };
    await call("PUT", `/v1/masters/${master.masterId}/price`, { key: OPERATOR_KEY, body: given });
    const { id: messageId } = (await acceptUnits(database, accountOf(master, shop.id), 30)) as { id: MessageId };
    await acceptUnits(database, accountOf(master, mill.id), 7);
    await addCorrection(db, operator, { messageId, units: -4, note: "ours" }, clock);
    await using after = await inDays(40);
    await closeMaster(after.db, accountOf(master, shop.id).masterId, after);
  });

  test("it sees nothing until its master lets it, and then its own lines without a figure of the master's", async () => {
    const refused = await call("GET", path(shop.id), { key: shop.key });
    expect([refused.status, refused.body.detail]).toEqual([
      403,
      expect.stringContaining("not opened the billing history"),
    ]);
    await allow(master, shop.id);
    const data = await history(shop.id, shop.key);
    expect(data.map(({ units }: { units: number }) => units)).toEqual([0, 30]);
    expect(data[1]).toEqual({
      subaccount_id: shop.id,
      period: { start: start.toISOString(), end: end.toISOString() },
      monthly_limit: 50,
      top_up: 0,
      messages: 1,
      units: 30,
      corrections: -4,
      billed: 26,
      credits: 0,
      price: { included_units: expect.any(Number), units_above: expect.any(Number), amounts: [expect.any(Object)] },
      closed_at: expect.any(String),
    });
    const [amount] = data[1].price.amounts;
    expect(amount).toEqual({
      currency: "EUR",
      fee_minor: expect.any(Number),
      overage_minor: 100 * data[1].price.units_above,
      discount_minor: 0,
      total_minor: amount.fee_minor + amount.overage_minor,
    });
    expect(JSON.stringify(data)).not.toMatch(/cost|margin|rat_|revenue/);
    await allow(master, shop.id, false);
    expect((await call("GET", path(shop.id), { key: shop.key })).status).toBe(403);
  });

  test("its master and the operator see it always; siblings and strangers never", async () => {
    const units = async (key: string) => (await history(mill.id, key)).map((one: { units: number }) => one.units);
    expect(await units(master.key)).toEqual([0, 7]);
    expect(await units(OPERATOR_KEY)).toEqual([0, 7]);
    await allow(master, shop.id);
    expect((await call("GET", path(mill.id), { key: shop.key })).status).toBe(404);
    const stranger = await newMaster(door);
    expect((await call("GET", path(mill.id), { key: stranger.key })).status).toBe(404);
    const acting = await call("GET", path(shop.id), { key: master.key, account: shop.id });
    expect(acting.body.data).toHaveLength(2);
    expect((await call("GET", path(mill.id), { key: master.key, account: mill.id })).status).toBe(403);
  });

  test("pages hold each period once, newest first", async () => {
    const whole = await call("GET", path(shop.id), { key: master.key });
    const first = await call("GET", path(shop.id, "?limit=1"), { key: master.key });
    const second = await call("GET", path(shop.id, `?limit=1&cursor=${first.body.next_cursor}`), { key: master.key });
    expect([...first.body.data, ...second.body.data]).toEqual(whole.body.data);
    expect(second.body).toMatchObject({ has_more: false, next_cursor: null });
  });

  test("a key without the scopes read or billing doesn't see it", async () => {
    await allow(master, shop.id);
    for (const [owner, scope, status] of [
      [shop.key, "send", 403],
      [shop.key, "read", 200],
      [master.key, "billing", 200],
      [master.key, "send", 403],
    ] as const) {
      const made = await call("POST", "/v1/keys", { key: owner, body: { name: scope, scopes: [scope] } });
      expect((await call("GET", path(shop.id), { key: made.body.key })).status, scope).toBe(status);
    }
  });
});

describe("after a move", () => {
  /** Sends under the first master, moves, sends under the second; both periods are closed for both. */
  async function moved(asOwn: boolean) {
    const [from, to] = [await newMaster(door), await newMaster(door)];
    const shop = await newSubaccount(door, from);
    await acceptUnits(database, accountOf(from, shop.id), 3);
    const id = await db.transaction().execute(async (trx) => {
      const before = await findSubaccount(trx, operator, parseId("sub", shop.id)!, clock, "change");
      const master = await findMaster(trx, operator, parseId("mas", to.masterId)!, clock, "keep");
      const arrival = { master, name: "Moved", monthlyLimit: 10, ...(asOwn ? ({ asOwn: true } as const) : {}) };
      return moveAccount(trx, before, arrival, clock);
    });
    const account = { masterId: parseId("mas", to.masterId)!, subaccountId: id };
    await acceptUnits(database, account, 5);
    await using after = await inDays(5);
    for (const { masterId } of [from, to]) await closeMaster(after.db, parseId("mas", masterId)!, after);
    const units = async (of: string, ask: Parameters<typeof call>[2]) => {
      const { status, body } = await call("GET", path(of), ask);
      return status === 200 ? body.data.map((one: { units: number }) => one.units).toSorted() : status;
    };
    return { from, to, shop, id: formatId("sub", id), units };
  }

  test("what the master before let it see stays visible to the account alone; what the new one does is its own matter", async () => {
    const { from, to, shop, id, units } = await moved(false);
    const asAccount = { key: shop.key };
    expect(await units(id, asAccount)).toBe(403);
    await allow(to, id);
    expect(await units(id, asAccount)).toEqual([5]);
    await database.pool.query("update subaccount set features = '{\"billing_history\": true}' where id = $1", [
      parseId("sub", shop.id),
    ]);
    expect(await units(id, asAccount)).toEqual([3, 5]);
    await allow(to, id, false);
    expect(await units(id, asAccount)).toEqual([3]);
    const { data } = (await call("GET", path(id), asAccount)).body;
    expect(data[0].subaccount_id).toBe(shop.id);
    // The new master sees its own part only, in whatever name it asks; the old one what stayed with it.
    expect(await units(id, { key: to.key })).toEqual([5]);
    expect(await units(shop.id, { key: to.key })).toBe(404);
    expect(await units(id, { key: to.key, account: id })).toBe(403);
    await allow(to, id);
    expect(await units(id, { key: to.key, account: id })).toEqual([5]);
    expect(await units(shop.id, { key: from.key })).toEqual([3]);
    expect(await units(id, { key: from.key })).toBe(404);
    expect(await units(shop.id, asAccount)).toBe(404);
    expect(await units(id, { key: OPERATOR_KEY })).toEqual([3, 5]);
  });

  test("an account that has become a master of its own sees what it was billed for before", async () => {
    const { to, shop, id, units } = await moved(true);
    expect(await units(id, { key: to.key })).toEqual([5]);
    await database.pool.query("update subaccount set features = '{\"billing_history\": true}' where id = $1", [
      parseId("sub", shop.id),
    ]);
    expect(await units(id, { key: to.key })).toEqual([3, 5]);
  });
});

/** The history begins where the program is brought to it: with what rules at that moment. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createPlan } from "../../src/accounts/plans.ts";
import { switchPlan } from "../../src/accounts/switch-plan.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { periodAt } from "../../src/metering/period.ts";
import { readPrice } from "../../src/prices/read-price.ts";
import { testDatabase } from "../support/database.ts";
import { root } from "../support/source-files.ts";
import { tenants } from "../support/tenants.ts";

test("accounts that are there already have their plan's price from then on, and closed ones none", async () => {
  const { db, clock, pool } = await testDatabase();
  const make = tenants({ db, clock });
  const master = await make.master();
  const { principal } = master;
  for (const [name, amountMinor] of [
    ["Small", 10],
    ["Large", 20],
  ] as const) {
    const price = { amountMinor, currency: "EUR" };
    await createPlan(db, principal, { name, monthlyLimit: 5, features: {}, price, cycle: "monthly" }, clock);
  }
  await createPlan(
    db,
    principal,
    { name: "Free", monthlyLimit: 5, features: {}, price: null, cycle: "monthly" },
    clock,
  );
  const id = async (plan: string | undefined) => (await make.subaccount(master, { plan })).subaccount.id;
  const [small, free, none, closed, next, sandbox] = [
    await id("Small"),
    await id("Free"),
    await id(undefined),
    await id("Small"),
    await id("Small"),
    (await make.subaccount(master, { plan: "Small", sandbox: true })).subaccount.id,
  ];
  await transitionSubaccount(db, principal, closed, "close", {}, clock);
  await switchPlan(db, principal, next, { plan: "Large", when: "next_period" }, {}, clock);
  const all = [small, free, none, closed, next, sandbox, master.master.ownSubaccountId];
  const prices = () =>
    Promise.all(
      all.map(async (subaccount) => {
        const price = await readPrice(db, principal, { subaccount }, clock);
        return [price.now?.terms.priceMinor ?? null, price.next?.terms.priceMinor ?? null];
      }),
    );
  const before = await prices();
  expect(before).toEqual([
    [10, null],
    [null, null],
    [null, null],
    [null, null],
    [10, 20],
    [null, null],
    [null, null],
  ]);

  await pool.query("drop table price_choice, price_term cascade");
  const functions =
    "lock_prices, card_terms, plan_price, wanted_price, sync_price, sync_price_of_account, sync_price_of_choice, sync_price_of_default";
  await pool.query(`drop function ${functions} cascade`);
  await pool.query(readFileSync(join(root, "migrations", "0044_price_history.sql"), "utf8"));
  expect(await prices()).toEqual(before);
  const { end } = periodAt(master.master.calendar, clock.now());
  expect((await readPrice(db, principal, { subaccount: next }, clock)).next).toMatchObject({ from: end });
});

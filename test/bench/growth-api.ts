/** Lists of a hundred thousand subaccounts: paged, filtered, searched, sorted, on one process. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import { MANY } from "../../src/accounts/usage-order.ts";
import { type Caller, createCaller, p99Of } from "./growth-calls.ts";
import type { Figure, Found } from "./growth-figures.ts";
import { prepare, seedSubaccounts } from "./growth-seed.ts";
import { settleDown } from "./growth-seed-backlog.ts";
import { seedLedger } from "./growth-seed-ledger.ts";
import { bookProblems, type Ground } from "./growth-stage.ts";

const questions: readonly (readonly [what: string, path: (n: number) => string])[] = [
  ["the first page", () => "/subaccounts"],
  ["a page by age, newest first", () => "/subaccounts?sort=-created"],
  ["a page by use, highest first", () => "/subaccounts?sort=-used"],
  ["a page by use, lowest first", () => "/subaccounts?sort=used"],
  ["a page by share of the limit", () => "/subaccounts?sort=-used_percent"],
  ["a page by what is left, least first", () => "/subaccounts?sort=remaining"],
  ["a page by owner's address", () => "/subaccounts?sort=owner_email"],
  ["those of one plan and state", () => "/subaccounts?plan=pro&state=active"],
  ["those of one plan, by use", () => "/subaccounts?plan=pro&sort=-used"],
  ["those above 1 % of their limit", () => "/subaccounts?used_percent_gte=1"],
  ["a search that finds many", () => "/subaccounts?q=customer"],
  ["a search that finds one", (n) => `/subaccounts?q=owner${(n * 337) % 1000}7%40customer`],
  ["those of one plan, by use, lowest first", () => "/subaccounts?plan=pro&sort=used"],
  ["a search by external id", (n) => `/subaccounts?q=ext-${(n * 337) % 1000}7`],
  ["a search that finds none", () => "/subaccounts?q=nobody-is-called-so"],
  ["a search within a plan, by use", () => "/subaccounts?q=owner77&plan=pro&sort=-used"],
];

export async function apiGrowth(ground: Ground): Promise<Found> {
  const { options, say } = ground;
  const count = Math.max(...options.subaccounts);
  await using stage = await ground.open();
  await prepare(stage.pool);
  await seedSubaccounts(stage.pool, stage.masterId, 1, count, say);
  // Some use of its own for each.
  await seedLedger(stage.pool, { masterId: stage.masterId, customers: count, entries: count * 2 }, say);
  await settleDown(stage.pool, say);
  using master = createCaller(stage.relay.api.url, stage.relay.accounts.masterKey);
  const figures: Figure[] = count < MANY ? [] : [await firstLook(master, stage.pool)];
  for (const [what, path] of questions) {
    say(what);
    figures.push(await p99Of(master, what, options.calls, path));
  }
  return { figures, curves: [], problems: await bookProblems("api", stage) };
}

/** Nobody has looked at the order by use for a while: it is read from the counters, and copied behind the answer. */
async function firstLook(master: Caller, pool: Pool): Promise<Figure> {
  const { ms } = await master.get("/subaccounts?sort=used");
  const deadline = Date.now() + 30_000;
  for (;;) {
    const { rowCount } = await pool.query("select 1 from usage_order_state");
    if (rowCount !== 0) return { what: "the first look by use, lowest first", seen: ms, unit: "ms", goal: null };
    if (Date.now() > deadline) throw new Error("the order by use was not copied within 30 s");
    await sleep(100);
  }
}

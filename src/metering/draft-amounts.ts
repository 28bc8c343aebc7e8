/** What a period asks of a master and of its subaccounts, from the terms that ruled in it. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { Segment } from "../prices/fees.ts";
import { readTerms } from "../prices/read-segments.ts";
import { segmentsOf } from "../prices/segments.ts";
import { pagesOf } from "./pages.ts";
import type { Period } from "./period.ts";
import { type AccountPrice, accountPrice } from "./statement-amounts.ts";

type Paid = Readonly<{ units: number; corrections: number; credits: number }>;
type Statement = Paid &
  Readonly<{ masterId: MasterId; period: Period; lines: readonly (Paid & Readonly<{ subaccountId: SubaccountId }>)[] }>;

/** Of the master itself and of each line; who has no price is left out. */
export async function priceStatement(
  db: Db,
  statement: Statement,
): Promise<ReadonlyMap<MasterId | SubaccountId, AccountPrice>> {
  const { masterId, period, lines } = statement;
  const prices = new Map<MasterId | SubaccountId, AccountPrice>();
  const add = (id: MasterId | SubaccountId, segments: readonly Segment[], paid: Paid) => {
    const price = accountPrice(segments, period, paid);
    if (price !== undefined) prices.set(id, price);
  };
  const { own } = await readTerms(db, masterId, [], period.end);
  add(masterId, segmentsOf(own.get(masterId) ?? [], null), statement);
  if (!(await sellsByPrice(db, masterId))) return prices;
  for (const page of pagesOf(lines)) {
    const ids = page.map(({ subaccountId }) => subaccountId);
    const written = await readTerms(db, masterId, ids, period.end);
    const born = await readSold(db, masterId, ids);
    for (const line of page) {
      const bornAt = born.get(line.subaccountId);
      if (bornAt === undefined) continue;
      add(line.subaccountId, segmentsOf(written.own.get(line.subaccountId) ?? [], bornAt, written.defaults), line);
    }
  }
  return prices;
}

/** Whether any subaccount of the master ever had a price. */
async function sellsByPrice(db: Db, masterId: MasterId): Promise<boolean> {
  const row = await db
    .selectFrom("price_term")
    .select("seq")
    .where("master_id", "=", masterId)
    .where((eb) => eb.or([eb("account_id", "<>", masterId), eb("role", "=", "default")]))
    .where("terms", "is not", null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** When each of these was made; not the master's own, which nobody pays for. */
async function readSold(
  db: Db,
  masterId: MasterId,
  ids: readonly SubaccountId[],
): Promise<ReadonlyMap<SubaccountId, Date>> {
  const rows = await db
    .selectFrom("subaccount as s")
    .innerJoin("master as m", "m.id", "s.master_id")
    .select(["s.id", "s.created_at"])
    .where((eb) => eb("s.id", "=", sql<SubaccountId>`any(${ids}::uuid[])`))
    .where("s.master_id", "=", masterId)
    .where("s.sandbox", "=", false)
    .whereRef("s.id", "<>", "m.own_subaccount_id")
    .execute();
  return new Map(rows.map((row) => [row.id, row.created_at]));
}

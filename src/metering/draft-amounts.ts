/** What a period asks of a master and of its subaccounts, from the terms that ruled in it. */
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { Segment } from "../prices/fees.ts";
import { readTerms } from "../prices/read-segments.ts";
import { segmentsOf } from "../prices/segments.ts";
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
  const written = await readTerms(db, masterId, period.end);
  const prices = new Map<MasterId | SubaccountId, AccountPrice>();
  const add = (id: MasterId | SubaccountId, segments: readonly Segment[], paid: Paid) => {
    const price = accountPrice(segments, period, paid);
    if (price !== undefined) prices.set(id, price);
  };
  add(masterId, segmentsOf(written.own.get(masterId) ?? [], null), statement);
  const rows = [...written.own].flatMap(([id, own]) => (id === masterId ? [] : own));
  if ([...rows, ...written.defaults].every(({ terms }) => terms === null)) return prices;
  const born = await readSold(db, masterId);
  for (const line of lines) {
    const bornAt = born.get(line.subaccountId);
    if (bornAt === undefined) continue;
    add(line.subaccountId, segmentsOf(written.own.get(line.subaccountId) ?? [], bornAt, written.defaults), line);
  }
  return prices;
}

/** When each was made; not the master's own, which nobody pays for. */
async function readSold(db: Db, masterId: MasterId): Promise<ReadonlyMap<SubaccountId, Date>> {
  const rows = await db
    .selectFrom("subaccount as s")
    .innerJoin("master as m", "m.id", "s.master_id")
    .select(["s.id", "s.created_at"])
    .where("s.master_id", "=", masterId)
    .where("s.sandbox", "=", false)
    .whereRef("s.id", "<>", "m.own_subaccount_id")
    .execute();
  return new Map(rows.map((row) => [row.id, row.created_at]));
}

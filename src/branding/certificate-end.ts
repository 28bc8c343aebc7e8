/**
 * Certificates of brands that are about to end: told 21, 7 and 1 days before, while their host is in use.
 *
 * Invariant: each notice is told once for each certificate: what `tell` writes, the event, and the mark that it was told are
 * one transaction, under a lock on the brand. A notice that was missed is not made up for: the next one says the same.
 * On failure: that one is tried again by the next run, and the others go on.
 */
import { sql } from "kysely";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { AccountId, MasterId, SubaccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";

export type Ending = Readonly<{
  masterId: MasterId;
  /** Null: the master's own brand. */
  subaccountId: SubaccountId | null;
  host: string;
  endsAt: Date;
  /** Which notice it is: at most that many days are left. */
  days: number;
}>;

export type EndingOptions = Readonly<{ db: Db; clock: Clock; log: Log }>;

/** @param tell writes the letters. @returns how many were told */
export async function tellEndings(
  { db, clock, log }: EndingOptions,
  tell: (trx: Db, ending: Ending) => Promise<void>,
): Promise<number> {
  let told = 0;
  for (const { account_id: accountId } of await readDue(db)) {
    try {
      const done = await db.transaction().execute(async (trx) => {
        const [due] = await readDue(trx, accountId);
        if (due === undefined) return false;
        await tellOne(trx, due, tell, clock);
        return true;
      });
      if (done) told += 1;
    } catch (error) {
      log.error({ event: "branding.ending_untold", account_id: accountId, err: error }, "a notice was not written");
    }
  }
  return told;
}

type Due = Ending & Readonly<{ account_id: AccountId }>;

/** With an id: that one, locked until the transaction ends. */
async function readDue(db: Db, accountId?: AccountId): Promise<Due[]> {
  const { rows } = await sql<Due>`
    with b as (
      select *, case when certificate_ends_at <= pm_now() + interval '1 day' then 1
                     when certificate_ends_at <= pm_now() + interval '7 days' then 7 else 21 end as days
        from brand where certificate_ends_at <= pm_now() + interval '21 days'
         ${accountId === undefined ? sql`` : sql`and account_id = ${accountId} for update`}
    )
    select account_id, master_id as "masterId", case when account_id <> master_id then account_id end as "subaccountId",
           host, certificate_ends_at as "endsAt", days
      from b where days < coalesce(certificate_told, 22) and brand_name_proven(host, master_id, account_id)`.execute(
    db,
  );
  return rows;
}

async function tellOne(
  trx: Db,
  due: Due,
  tell: (trx: Db, ending: Ending) => Promise<void>,
  clock: Clock,
): Promise<void> {
  const { account_id: accountId, ...ending } = due;
  const { masterId, subaccountId, host, endsAt, days } = ending;
  await trx.updateTable("brand").set({ certificate_told: days }).where("account_id", "=", accountId).execute();
  const data = { host, ends_at: endsAt.toISOString(), days };
  await emit(trx, { type: "certificate.ending", masterId, subaccountId, at: clock.now(), data }, clock);
  await tell(trx, ending);
}

/** The entries of an archived month, from its file, held against all that is said of them elsewhere. One page at a time is in memory. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { summedDays } from "./archive-due.ts";
import { columnNames, type EntryText, entryRows } from "./archive-row.ts";
import { type Owner, type OwnerSum, spanOfDay } from "./day-entries.ts";
import type { Findings } from "./difference.ts";
import { daysOfMonth, idsOfMonth, type Month, msOfId } from "./months.ts";
import type { Corrections } from "./verify-archive-corrections.ts";
import { paidTooMuch } from "./verify-credits.ts";
import { type DayJudge, openDay } from "./verify-days.ts";
import { judgePage } from "./verify-entries.ts";

export type MonthWork = Readonly<{
  findings: Findings;
  corrections: Pick<Corrections, "see">;
  addSandbox(owner: Owner, units: number): void;
  horizon: string;
}>;

export async function judgeMonth(
  db: Db,
  month: Month,
  pages: AsyncIterable<readonly EntryText[]>,
  { findings, corrections, addSandbox, horizon }: MonthWork,
): Promise<void> {
  const days = walkDays(db, month, await summedDays(db, month), findings);
  const credits = await openCredits(db, month, findings);
  for await (const page of pages) {
    await judgePage(db, { page: sql`select * from ${entryRows(page)} as e ${columnNames}`, horizon }, findings);
    await credits.take(page);
    for (const entry of page) {
      const sum = sumOf(entry);
      const atMs = msOfId(entry.id);
      if (!days.has(atMs)) await days.goTo(atMs);
      days.take(sum, atMs);
      corrections.see(entry);
      if (entry.kind === "sandbox") addSandbox(sum, entry.units);
    }
    findings.read(page.length);
  }
  await days.end();
  credits.end();
}

function sumOf({ master_id, subaccount_id, period_start, kind, units }: EntryText): OwnerSum {
  return {
    masterId: master_id as MasterId,
    subaccountId: subaccount_id as SubaccountId,
    periodStart: new Date(period_start),
    messages: kind === "accept" ? 1 : 0,
    units: kind === "accept" ? units : 0,
    corrections: kind === "correction" ? units : 0,
    entries: 1,
  };
}

/** The days of a month one after the other, those without an entry too: what is kept of them is held against nothing then. */
function walkDays(db: Db, month: Month, summed: ReadonlyMap<string, number>, { found }: Findings) {
  const days = daysOfMonth(month);
  let at = -1;
  let judge: DayJudge | undefined;
  let taken = 0;
  let endMs = 0;
  const finish = () => {
    const day = days[at];
    if (day === undefined || judge === undefined) return;
    const entries = summed.get(day);
    const details = entries !== undefined ? judge.details(entries) : taken > 0 ? [unsummed(day, taken)] : [];
    for (const detail of details) found({ check: "days", ...detail });
  };
  const step = async () => {
    finish();
    at += 1;
    taken = 0;
    const day = days[at];
    judge = day === undefined ? undefined : await openDay(db, day);
    endMs = day === undefined ? 0 : spanOfDay(day).toMs;
  };
  const has = (ms: number) => ms < endMs;
  return {
    has,
    async goTo(ms: number): Promise<void> {
      while (at < days.length && !has(ms)) await step();
    },
    take(sum: OwnerSum, ms: number): void {
      taken += 1;
      judge?.take(sum, ms);
    },
    async end(): Promise<void> {
      while (at < days.length) await step();
    },
  };
}

const unsummed = (day: string, entries: number) => ({
  subject: day,
  detail: `${entries} entries are archived, but the sums of the day are not kept: restore the month, and it is summed again`,
});

/** Each message that credits have paid for is among the charges, and was paid no more than it has units. */
async function openCredits(db: Db, month: Month, { found }: Findings) {
  const { from, to } = idsOfMonth(month);
  const { rows } = await sql<{ messages: number }>`
    select count(distinct message_id) as messages from credit_entry
     where message_id >= ${from}::uuid and message_id < ${to}::uuid`.execute(db);
  const paid = rows[0]?.messages ?? 0;
  let seen = 0;
  return {
    async take(page: readonly EntryText[]): Promise<void> {
      if (paid === 0) return;
      const charges = page.filter(({ kind }) => kind === "accept");
      const { rows } = await sql<{ id: SubaccountId; message: string; over: boolean }>`
        select e.subaccount_id as id, e.message_id as message, sum(e.units) > c.units as over
          from unnest(${charges.map(({ id }) => id)}::uuid[], ${charges.map(({ units }) => units)}::int[]) as c (id, units)
          join credit_entry e on e.message_id = c.id group by 1, 2, c.units`.execute(db);
      seen += new Set(rows.map(({ message }) => message)).size;
      for (const { id, message } of rows.filter(({ over }) => over))
        found({ check: "credits", subject: formatId("sub", id), detail: paidTooMuch(message) });
    },
    end(): void {
      if (seen === paid) return;
      const detail = `${paid} messages were paid by credits; ${seen} of them are in its file`;
      found({ check: "credits", subject: month, detail });
    },
  };
}

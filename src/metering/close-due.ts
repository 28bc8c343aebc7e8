/** Closes what is due of all masters, one after the other; statements can wait, mail can't. */
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { BEFORE_ALL, formatId, type MasterId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import { type CloseOptions, closeMaster } from "./close.ts";
import { COMMITTED_WITHIN_MS } from "./open-period.ts";

export type DueOptions = Required<CloseOptions> &
  Readonly<{
    log?: Log;
    /** Rests so many times as long as each master took, so that a month's end leaves the machine to mail. */
    rest?: number;
    /** Ends after that, less what failing masters took; what is left is still due. */
    budgetMs?: number;
    signal?: AbortSignal;
  }>;

const PAGE = 500;

/**
 * One statement where nothing is due, however many masters there are. Returns how many were closed.
 * @throws AggregateError when masters failed, after the others had their turn
 */
export async function closeDue(db: Db, options: DueOptions): Promise<number> {
  const { graceMs, budgetMs = Number.POSITIVE_INFINITY } = options;
  let until = performance.now() + budgetMs;
  const failures: unknown[] = [];
  let closed = 0;
  for (let after: MasterId = BEFORE_ALL, more = true; more; ) {
    const { rows } = await selectDue(after, graceMs).execute(db);
    for (const { id } of rows) {
      more = performance.now() < until && options.signal?.aborted !== true;
      if (!more) break;
      const started = performance.now();
      const failed = failures.length;
      try {
        closed += (await closeMaster(db, id, options)).length;
      } catch (error) {
        failures.push(error);
        options.log?.error({ event: "statements.failed", master_id: formatId("mas", id), err: error });
      }
      await rest(performance.now() - started, options);
      // One that fails slowly would else take the time of all that come after it, in every run.
      if (failures.length > failed) until += performance.now() - started;
    }
    const last = rows.at(-1);
    if (rows.length === PAGE && last !== undefined) after = last.id;
    else more = false;
  }
  if (failures.length === 0) return closed;
  throw new AggregateError(failures, `the statements of ${failures.length} masters could not be closed`);
}

async function rest(tookMs: number, { rest = 0, signal }: DueOptions): Promise<void> {
  if (rest > 0) await sleep(tookMs * rest, undefined, { signal }).catch(() => {}); // told to end
}

/**
 * A page of masters that have something to close, or whose next statement nobody has reckoned yet. A change of calendar
 * begins with a period's end, so it moves none that is reckoned. A closed master gets statements up to the period in which it was
 * closed, and up to its last use.
 */
const selectDue = (after: MasterId, graceMs: number) => sql<{ id: MasterId }>`
  select m.id from master m left join statement_due d on d.master_id = m.id,
         lateral (select pm_now() - make_interval(secs => ${graceMs / 1000}::float8) as at) t,
         lateral (select case m.state when 'closed' then
                    coalesce((select max(period_end) from statement where master_id = m.id), '-infinity') end as closed_to) s
   where m.id > ${after}
     and case when m.state <> 'closed' or m.closed_at >= s.closed_to - make_interval(secs => ${COMMITTED_WITHIN_MS / 1000}::float8) then d.due_at is null or d.due_at <= t.at
              else exists (select from usage u where u.account_id = m.id and u.period_end <= t.at and u.period_start >= s.closed_to) end
   order by m.id limit ${PAGE}`;

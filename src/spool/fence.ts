/**
 * What is true when the result of the accept call is unknown (the connection was lost, or a FATAL error).
 *
 * A `void` entry with the message's id is inserted first, on a new connection; only then, in a second statement, is the
 * kind read. The order matters: after the insert no late commit of the lost call can charge the id any more, and the
 * conflict alone would prove nothing.
 * On failure: tried again until `patienceMs` has passed; then nobody can say, and the result is undefined.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { MessageId } from "../platform/ids.ts";
import type { Submission } from "./message.ts";

const VOID = `insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
  select id, master_id, subaccount_id, period_start, 0, 'void', pm_now()
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[]) as m (id, master_id, subaccount_id, period_start)
   order by id on conflict (id) do nothing`;
const READ = "select id, kind from usage_entry where id = any($1::uuid[])";

/** Of each message: was it accepted? Undefined when the database could not be asked in time. */
export async function fence(
  pool: Pool,
  messages: readonly Submission[],
  patienceMs: number,
): Promise<ReadonlyMap<MessageId, boolean> | undefined> {
  const ids = messages.map((m) => m.id);
  const columns = [
    ids,
    messages.map((m) => m.masterId),
    messages.map((m) => m.subaccountId),
    messages.map((m) => m.period.start.toISOString()),
  ];
  const deadline = performance.now() + patienceMs;
  for (let pause = 50; ; pause = Math.min(pause * 2, 2000)) {
    try {
      await pool.query(VOID, columns);
      const { rows } = await pool.query<{ id: MessageId; kind: string }>(READ, [ids]);
      return new Map(rows.map((row) => [row.id, row.kind === "accept"]));
    } catch (error) {
      if (performance.now() + pause > deadline) return undefined;
      void error;
      await sleep(pause);
    }
  }
}

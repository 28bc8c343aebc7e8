/**
 * What is true when the result of the accept call is unknown (the connection was lost, or a FATAL error).
 *
 * A `void` entry with the message's id is inserted first, on a new connection; only then, in a second statement, is the
 * kind read. The order matters: after the insert no late commit of the lost call can charge the id any more, and the
 * conflict alone would prove nothing. What was read is believed when a commit of our own has come after it: where a standby is
 * synchronous, a server that crashed and is back shows commits that the standby, which may take over, never got.
 * On failure: tried again until the deadline; then nobody can say, and the result is undefined.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ClientBase } from "pg";
import type { MessageId } from "../platform/ids.ts";
import type { Submission } from "./message.ts";

const VOID = `insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
  select id, master_id, subaccount_id, period_start, 0, 'void', pm_now()
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[]) as m (id, master_id, subaccount_id, period_start)
   order by id on conflict (id) do nothing`;
const READ = "select id, kind from usage_entry where id = any($1::uuid[])";
/** A commit that waits for the standbys as any other; it leaves nothing behind but a record in the log. */
const REPLICATED = "select pg_logical_emit_message(true, 'postmeter.fence', ''::text)";

export type Connect = () => Promise<Pick<ClientBase, "query"> & { end(): Promise<void> }>;

/** Of each message: was it accepted? Undefined when the database could not be asked before `deadlineMs` (performance.now()). */
export async function fence(
  connect: Connect,
  messages: readonly Submission[],
  deadlineMs: number,
): Promise<ReadonlyMap<MessageId, boolean> | undefined> {
  const late = sleep(Math.max(0, deadlineMs - performance.now()), undefined, { ref: false });
  return Promise.race([late, decide(connect, messages, deadlineMs)]);
}

async function decide(connect: Connect, messages: readonly Submission[], deadlineMs: number) {
  for (let pause = 50; performance.now() < deadlineMs; pause = Math.min(pause * 2, 2000)) {
    const decided = await ask(connect, messages).catch(() => undefined);
    if (decided !== undefined) return decided;
    await sleep(pause);
  }
  return undefined;
}

async function ask(connect: Connect, messages: readonly Submission[]): Promise<ReadonlyMap<MessageId, boolean>> {
  const ids = messages.map((m) => m.id);
  const starts = messages.map((m) => m.period.start.toISOString());
  const client = await connect();
  try {
    await client.query(VOID, [ids, messages.map((m) => m.masterId), messages.map((m) => m.subaccountId), starts]);
    const { rows } = await client.query<{ id: MessageId; kind: string }>(READ, [ids]);
    await client.query(REPLICATED);
    return new Map(rows.map((row) => [row.id, row.kind === "accept" || row.kind === "sandbox"]));
  } finally {
    void client.end().catch(() => {});
  }
}

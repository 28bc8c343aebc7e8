/**
 * Writes what came of deliveries, in groups: outcomes, events, the queue rows and the reports (DSN) they cause.
 *
 * Invariant: an outcome counts only for the holder of the lease, named by (owner, attempt); a report is stored in the
 * transaction of the outcome that causes it, so it is neither lost nor sent twice.
 * On failure: nothing is written; the caller tries again, and when the lease has run out the message is delivered again.
 */
import type { ClientBase, Pool } from "pg";
import type { Clock } from "../platform/clock.ts";
import { type EventId, newId } from "../platform/ids.ts";
import { plainArray } from "../platform/plain-array.ts";
import { enqueue } from "./enqueue.ts";
import type { Outgoing, Result } from "./message.ts";

const SETTLE = {
  name: "settle_batch",
  text: `select held from settle_batch($1::int, $2::uuid[], $3::int[], $4::timestamptz[], $5::text[], $6::uuid[], $7::uuid[],
    $8::int[], $9::int[], $10::text[], $11::text[], $12::uuid[], $13::text[])`,
};

/** Which results were still held, in their order. The others were left alone: someone else has the message now. */
export async function settle(
  pool: Pool,
  owner: number,
  results: readonly Result[],
  lifetimeMs: number,
  clock: Clock,
): Promise<readonly boolean[]> {
  if (results.length === 0) return [];
  if (results.every((result) => result.dsn === null)) return write(pool, owner, results, clock);
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query("begin");
    const held = await write(client, owner, results, clock);
    for (const [i, result] of results.entries()) {
      if (held[i] && result.dsn !== null) await enqueue(client, result.dsn satisfies Outgoing, lifetimeMs);
    }
    await client.query("commit");
    return held;
  } catch (error) {
    await client.query("rollback").catch((rollbackError: Error) => {
      broken = rollbackError;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

async function write(
  client: Pick<ClientBase, "query"> | Pool,
  owner: number,
  results: readonly Result[],
  clock: Clock,
): Promise<readonly boolean[]> {
  const recipients = results.flatMap((result, i) =>
    result.recipients.map((r) => ({
      m: i + 1,
      ...r,
      told: result.task.kind === "submitted",
      address: addressOf(result, r.n),
    })),
  );
  const { rows } = await (client as Pool).query<{ held: boolean[] }>({
    ...SETTLE,
    values: [
      owner,
      plainArray(results.map((r) => r.task.id)),
      plainArray(results.map((r) => r.task.attempt)),
      plainArray(results.map((r) => r.dueAt?.toISOString())),
      results.map((r) => r.route),
      plainArray(results.map((r) => r.task.masterId)),
      plainArray(results.map((r) => r.task.subaccountId)),
      plainArray(recipients.map((r) => r.m)),
      plainArray(recipients.map((r) => r.n)),
      plainArray(recipients.map((r) => r.state)),
      recipients.map((r) => JSON.stringify(r.attempt)),
      plainArray(recipients.map((r) => (r.told ? newId<EventId>(clock) : null))),
      recipients.map((r) => (r.told ? JSON.stringify({ ...r.attempt, recipient: r.address }) : null)),
    ],
  });
  return rows[0]?.held ?? [];
}

function addressOf({ task }: Result, n: number): string | undefined {
  return task.recipients.find((recipient) => recipient.n === n)?.address;
}

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
import type { Outgoing, Result, Task } from "./message.ts";

/**
 * The JSON of attempts and events comes as lines, which JSON never breaks: as elements of an array each of its many quotes
 * would have to be escaped.
 */
const SETTLE = {
  name: "settle_batch",
  text: `select held from settle_batch($1::int, $2::uuid[], $3::int[], $4::timestamptz[], $5::text[], $6::uuid[], $7::uuid[],
    $8::int[], $9::int[], $10::text[], string_to_array($11::text, E'\\n'), $12::uuid[],
    string_to_array($13::text, E'\\n', 'null'))`,
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
      ...recipientArrays(results, clock),
    ],
  });
  return rows[0]?.held ?? [];
}

/** By recipient: the number of its message in the group, its own, its state, the attempt; of mail that is told, the event. */
function recipientArrays(results: readonly Result[], clock: Clock) {
  const of: number[] = [];
  const numbers: number[] = [];
  const states: string[] = [];
  const attempts: string[] = [];
  const eventIds: (EventId | null)[] = [];
  const events: string[] = [];
  for (const [i, { task, recipients }] of results.entries()) {
    const told = task.kind === "submitted";
    for (const { n, state, attempt } of recipients) {
      of.push(i + 1);
      numbers.push(n);
      states.push(state);
      const shown = JSON.stringify(attempt);
      attempts.push(shown);
      eventIds.push(told ? newId<EventId>(clock) : null);
      events.push(told ? withRecipient(shown, addressOf(task, n)) : "null");
    }
  }
  return [
    plainArray(of),
    plainArray(numbers),
    plainArray(states),
    attempts.join("\n"),
    plainArray(eventIds),
    events.join("\n"),
  ];
}

/** The attempt's JSON with one field more: to make it anew would cost as much again. */
function withRecipient(attempt: string, address: string | undefined): string {
  return address === undefined ? attempt : `${attempt.slice(0, -1)},"recipient":${JSON.stringify(address)}}`;
}

function addressOf(task: Task, n: number): string | undefined {
  return task.recipients.find((recipient) => recipient.n === n)?.address;
}

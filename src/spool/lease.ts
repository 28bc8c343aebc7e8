/**
 * Leases of messages in hand. A lease is counted by its holder from before the statement that took it, so the holder
 * always believes it shorter than the database does. A pause in the middle of a transmission can deliver twice.
 */
import type { Pool } from "pg";
import type { MessageId } from "../platform/ids.ts";
import type { Task } from "./message.ts";

type Holding = Pick<Task, "id" | "attempt">;

const columns = (tasks: readonly Holding[]) => [tasks.map((t) => t.id), tasks.map((t) => t.attempt)];

/** Locked in the order of their ids, as outcomes are (settle_batch): two statements over the same rows never cross. */
const OURS = `ours as materialized (
  select q.message_id from unnest($1::uuid[], $2::int[]) held (id, attempt) join queue q on q.message_id = held.id
   where q.attempt = held.attempt and q.owner = $3 order by q.message_id for update of q)`;

/** One statement for all that is held. Resolves to the ids that are still ours. */
export async function renew(
  pool: Pool,
  owner: number,
  tasks: readonly Task[],
  leaseMs: number,
): Promise<ReadonlySet<MessageId>> {
  const { rows } = await pool.query<{ message_id: MessageId }>({
    name: "renew_leases",
    text: `with ${OURS} update queue q set due_at = pm_now() + make_interval(secs => $4::float8)
             from ours where q.message_id = ours.message_id returning q.message_id`,
    values: [...columns(tasks), owner, leaseMs / 1000],
  });
  return new Set(rows.map((row) => row.message_id));
}

/** Gives back what was not tried: due for anybody after `delayMs`, and the attempt is not counted. */
export async function release(pool: Pool, owner: number, tasks: readonly Holding[], delayMs: number): Promise<void> {
  await pool.query(
    `with ${OURS} update queue q set due_at = pm_now() + make_interval(secs => $4::float8), owner = null, attempt = q.attempt - 1
       from ours where q.message_id = ours.message_id`,
    [...columns(tasks), owner, delayMs / 1000],
  );
}

/** Registers this process. Its number owns leases and is never given out again. */
export async function registerNode(pool: Pool, hostname: string, pid: number): Promise<number> {
  const { rows } = await pool.query<{ id: number }>(
    "insert into node (hostname, pid, started_at, seen_at) values ($1, $2, pm_now(), pm_now()) returning id",
    [hostname, pid],
  );
  return (rows[0] as { id: number }).id;
}

export async function seeNode(pool: Pool, owner: number): Promise<void> {
  await pool.query("update node set seen_at = pm_now() where id = $1", [owner]);
}

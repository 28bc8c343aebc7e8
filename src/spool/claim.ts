/**
 * Takes due messages under a lease, a few of each tenant in turn: one tenant's backlog does not delay another's mail.
 *
 * Invariant: a message is held by one owner at a time; (owner, attempt) names the holding.
 *
 * The plan: a skip scan over `queue_due` walks from tenant to tenant (one index probe each, whatever a tenant's backlog),
 * the lateral part takes the oldest due rows of each, `skip locked` passes over what another claimer has in hand.
 * A `row_number()` over the backlog would read all of it.
 */
import type { Pool } from "pg";
import type { SubaccountId } from "../platform/ids.ts";
import type { Task } from "./message.ts";

const TENANTS = 512;

const CLAIM = `
with recursive clock as materialized (select pm_now() as t), tenant (id, n) as (
  (select subaccount_id, 1 from queue where subaccount_id > $1::uuid order by 1 limit 1)
  union all
  select (select q.subaccount_id from queue q where q.subaccount_id > t.id order by 1 limit 1), t.n + 1
    from tenant t where t.id is not null and t.n < ${TENANTS}
), walk as materialized (
  select id, n from tenant where id is not null and not is_held(id)
), due as materialized (
  select x.message_id, w.n from walk w, lateral (
    select q.message_id from queue q where q.subaccount_id = w.id and q.due_at <= (select t from clock)
     order by q.due_at, q.message_id limit $2 for update skip locked) x
   limit $3
), taken as (
  update queue q set due_at = (select t from clock) + make_interval(secs => $5::float8), owner = $4, attempt = q.attempt + 1
    from due where q.message_id = due.message_id
  returning q.message_id, q.attempt, q.expires_at, q.route, due.n
), task as (
  select t.attempt, t.expires_at, t.route as bound_route, t.n, m.*, r.recipients
    from taken t join message m on m.id = t.message_id,
         lateral (select jsonb_agg(jsonb_build_object('n', r.n, 'address', r.address, 'originalRecipient', r.original_recipient,
                         'notify', r.notify) order by r.n) as recipients
                    from recipient r where r.message_id = t.message_id and r.state in ('queued', 'deferred')) r
)
select task.*, walked.id as last_tenant, walked.n as tenants
  from (select 1) one
  left join (select id, n from tenant where id is not null order by n desc limit 1) walked on true
  left join task on true
 order by task.n, task.id`;

type Row = {
  id: Task["id"] | null; // null in the one row of a claim that found nothing
  master_id: Task["masterId"];
  subaccount_id: SubaccountId;
  kind: Task["kind"];
  attempt: number;
  expires_at: Date;
  accepted_at: Date;
  bound_route: string | null;
  sender: string;
  size_bytes: number;
  body_parts: number;
  envelope_id: string | null;
  ret: "FULL" | "HDRS" | null;
  eight_bit: boolean;
  smtp_utf8: boolean;
  recipients: Task["recipients"] | null;
  last_tenant: SubaccountId | null;
  tenants: number | null;
};

export type Claim = Readonly<{
  owner: number;
  leaseMs: number;
  limit: number;
  /** At most so many of one tenant in this call. Callers double it while claims come back thin. */
  perTenant: number;
  /** Where the last claim ended; BEFORE_ALL to begin. */
  cursor: SubaccountId;
}>;

export type Claimed = Readonly<{ tasks: readonly Task[]; cursor: SubaccountId }>;

export const BEFORE_ALL = "00000000-0000-0000-0000-000000000000" as SubaccountId;

export async function claim(pool: Pool, { owner, leaseMs, limit, perTenant, cursor }: Claim): Promise<Claimed> {
  const leasedUntilMs = performance.now() + leaseMs;
  const { rows } = await pool.query<Row>({
    name: "claim",
    text: CLAIM,
    values: [cursor, perTenant, limit, owner, leaseMs / 1000],
  });
  const tasks = rows.filter((row) => row.id !== null).map((row) => taskOf(row, leasedUntilMs));
  return { tasks, cursor: next(rows, tasks, limit) };
}

/** A full claim stopped in the middle of the walk: go on behind its last tenant. Else behind the walk, or from the start. */
function next(rows: readonly Row[], tasks: readonly Task[], limit: number): SubaccountId {
  const last = tasks.at(-1);
  if (last !== undefined && tasks.length >= limit) return last.subaccountId;
  const walked = rows[0];
  return walked?.last_tenant && walked.tenants === TENANTS ? walked.last_tenant : BEFORE_ALL;
}

function taskOf(row: Row, leasedUntilMs: number): Task {
  return {
    id: row.id as Task["id"],
    masterId: row.master_id,
    subaccountId: row.subaccount_id,
    kind: row.kind,
    attempt: row.attempt,
    leasedUntilMs,
    expiresAt: row.expires_at,
    acceptedAt: row.accepted_at,
    route: row.bound_route,
    sender: row.sender,
    sizeBytes: row.size_bytes,
    bodyParts: row.body_parts,
    envelopeId: row.envelope_id,
    ret: row.ret,
    eightBit: row.eight_bit,
    smtpUtf8: row.smtp_utf8,
    recipients: row.recipients ?? [],
    bytes: null,
  };
}

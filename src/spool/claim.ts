/**
 * Takes due messages under a lease, a few of each tenant in turn: one tenant's backlog does not delay another's mail.
 *
 * Invariant: a message is held by one owner at a time; (owner, attempt) names the holding.
 */
import type { Pool } from "pg";
import { BEFORE_ALL, type SubaccountId } from "../platform/ids.ts";
import type { Task } from "./message.ts";

const TENANTS = 512;

const CLAIM = {
  name: "claim_batch",
  text: "select * from claim_batch($1::uuid, $2::int, $3::int, $4::int, $5::int, make_interval(secs => $6::float8))",
};

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
  overdue: boolean;
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

export async function claim(pool: Pool, { owner, leaseMs, limit, perTenant, cursor }: Claim): Promise<Claimed> {
  const leasedUntilMs = performance.now() + leaseMs;
  const values = [cursor, TENANTS, perTenant, limit, owner, leaseMs / 1000];
  const { rows } = await pool.query<Row>({ ...CLAIM, values });
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
    ...(row.overdue && { overdue: true }),
    bytes: null,
  };
}

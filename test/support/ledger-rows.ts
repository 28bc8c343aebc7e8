/** The rows that the conservation check compares, read plainly and without any code of the program. */
import type { Database } from "../../src/platform/database.ts";
import { formatId, type MasterId, type MessageId, parseId, type SubaccountId } from "../../src/platform/ids.ts";

/** An accept entry with its message. Ids are TypeIDs. */
export type Charged = Readonly<{
  id: string;
  marker: string;
  masterId: string;
  subaccountId: string;
  periodStart: Date;
  units: number;
  queued: boolean;
  recipients: readonly Readonly<{ address: string; state: string }>[];
}>;

export type Counter = Readonly<{
  account: string;
  rawId: string;
  masterId: string;
  rawMasterId: string;
  periodStart: Date;
  periodEnd: Date;
  /** The period's name: its first day in the zone that rules it, as Postgres reckons. */
  periodDate: string;
  used: number;
  cap: number | null;
  /** Its account or its master was changed after it was made: it may stand above its cap. */
  lowered: boolean;
}>;

const rawMasters = (ids: readonly string[]) => ids.map((id) => parseId("mas", id));

export async function readCharged({ pool }: Database, masters: readonly string[]): Promise<Charged[]> {
  const { rows } = await pool.query(
    `select e.id, e.master_id, e.subaccount_id, e.period_start, e.units, m.header_message_id as marker, q.message_id is not null as queued,
            coalesce((select jsonb_agg(jsonb_build_object('address', r.address, 'state', r.state)) from recipient r where r.message_id = e.id), '[]') as recipients
       from usage_entry e left join message m on m.id = e.id left join queue q on q.message_id = e.id
      where e.kind = 'accept' and e.master_id = any($1::uuid[]) order by e.id`,
    [rawMasters(masters)],
  );
  return rows.map((row) => ({
    id: formatId("msg", row.id as MessageId),
    marker: (row.marker ?? `nothing (${row.id})`).replace(/^<|>$/g, ""),
    masterId: formatId("mas", row.master_id as MasterId),
    subaccountId: formatId("sub", row.subaccount_id as SubaccountId),
    periodStart: row.period_start,
    units: row.units,
    queued: row.queued,
    recipients: row.recipients,
  }));
}

export async function readCounters({ pool }: Database, masters: readonly string[]): Promise<Counter[]> {
  const { rows } = await pool.query(
    `select u.account_id, u.master_id, u.period_start, u.period_end, u.used, u.cap,
            m.version > 1 or coalesce((select s.version > 1 from subaccount s where s.id = u.account_id), false) as lowered,
            to_char(u.period_start at time zone
                    case when m.calendar_changes_at <= u.period_start then m.next_time_zone else m.time_zone end, 'YYYY-MM-DD') as date
       from usage u join master m on m.id = u.master_id where u.master_id = any($1::uuid[]) order by u.account_id, u.period_start`,
    [rawMasters(masters)],
  );
  return rows.map((row) => ({
    account:
      row.account_id === row.master_id
        ? formatId("mas", row.account_id as MasterId)
        : formatId("sub", row.account_id as SubaccountId),
    rawId: row.account_id,
    masterId: formatId("mas", row.master_id as MasterId),
    rawMasterId: row.master_id,
    periodStart: row.period_start,
    periodEnd: row.period_end,
    periodDate: row.date,
    used: row.used,
    cap: row.cap,
    lowered: row.lowered,
  }));
}

/** Submitted messages without a charge. */
export async function readUncharged({ pool }: Database): Promise<string[]> {
  const { rows } = await pool.query<{ id: MessageId }>(
    `select id from message m where kind = 'submitted'
        and not exists (select from usage_entry e where e.id = m.id and e.kind = 'accept')`,
  );
  return rows.map(({ id }) => formatId("msg", id));
}

/** Messages that a report in the spool speaks of. */
export async function readBounced({ pool }: Database): Promise<Set<string>> {
  const { rows } = await pool.query<{ text: string }>(
    `select convert_from(b.bytes, 'latin1') as text from message m join body b on b.message_id = m.id and b.part = 0 where m.kind = 'dsn'`,
  );
  return new Set(rows.flatMap(({ text }) => /^X-Postmeter-Message: (msg_\w+)/m.exec(text)?.[1] ?? []));
}

/** Messages with work left that is due, or in somebody's hands: how many of each sort, in words. */
export async function describeDue({ pool }: Database): Promise<string[]> {
  const { rows } = await pool.query<{ said: string }>(
    `select count(*) || ' of owner ' || coalesce(q.owner::text, '-') || ', kind ' || coalesce(m.kind, 'none') || ', attempt ' || q.attempt
            || ', due in ' || round(extract(epoch from min(q.due_at) - pm_now())) || ' s' as said
       from queue q left join message m on m.id = q.message_id
      where q.owner is not null or q.due_at <= pm_now() group by q.owner, m.kind, q.attempt`,
  );
  return rows.map(({ said }) => said);
}

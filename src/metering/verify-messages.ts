/**
 * Each stored message is charged once, for each of its recipients, and each charge has its message.
 *
 * Messages are kept for a while only: days whose messages have been purged are passed over. A message and its charge
 * commit together, so each page, one statement, sees both or neither.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { formatId, type MessageId } from "../platform/ids.ts";
import type { Findings } from "./difference.ts";
import { idAt } from "./ledger.ts";

const WINDOW = 5000;
const DAY_MS = 86_400_000;

type Problem = Readonly<{ id: MessageId; problem: string }>;

export async function verifyMessages(db: Db, findings: Findings): Promise<void> {
  for (const day of await keptDays(db)) {
    const problems = await readDay(db, day, findings);
    // Purged while it was read: no message is missing then.
    if (problems.length === 0 || !(await keptDays(db)).includes(day)) continue;
    for (const { id, problem } of problems) {
      findings.found({ check: "messages", subject: formatId("msg", id), detail: problem });
    }
  }
}

/** The UTC days (`20261122`) whose messages and recipients are stored. */
async function keptDays(db: Db): Promise<string[]> {
  const { rows } = await sql<{ day: string }>`
    select right(c.relname, 8) as day from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent in ('message'::regclass, 'recipient'::regclass)
     group by 1 having count(*) = 2 order by 1`.execute(db);
  return rows.map((row) => row.day);
}

async function readDay(db: Db, day: string, findings: Findings): Promise<Problem[]> {
  const start = Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`);
  const to = idAt(start + DAY_MS);
  const problems: Problem[] = [];
  for (let after = idAt(start - 1); after < to; ) {
    const last = await windowEnd(db, after, to);
    const { rows } = await readWindow(after, last).execute(db);
    findings.read(rows[0]?.read ?? 0);
    problems.push(...(rows[0]?.problems ?? []));
    after = last;
  }
  return problems;
}

/** Few rows lie between: the bounds keep every join within the day and within the window. */
async function windowEnd(db: Db, after: string, to: string): Promise<string> {
  const { rows } = await sql<{ last: string }>`
    select least(${to}::uuid,
      (select id from message where id > ${after}::uuid and id < ${to}::uuid order by id offset ${WINDOW} limit 1),
      (select id from usage_entry where id > ${after}::uuid and id < ${to}::uuid order by id offset ${WINDOW} limit 1)) as last`.execute(
    db,
  );
  return rows[0]?.last ?? to;
}

const readWindow = (after: string, last: string) => sql<{ read: number; problems: Problem[] }>`
  with m as materialized (
    select id, master_id, subaccount_id, units from message
     where kind = 'submitted' and id > ${after}::uuid and id <= ${last}::uuid
  ), e as materialized (
    select id, master_id, subaccount_id, units, kind from usage_entry
     where kind <> 'correction' and id > ${after}::uuid and id <= ${last}::uuid
  ), r as materialized (
    select message_id, count(*) as recipients from recipient
     where message_id > ${after}::uuid and message_id <= ${last}::uuid group by 1
  ), judged as (
    select coalesce(m.id, e.id) as id, case
      when m.id is null then case when e.kind = 'accept' then 'was charged, but is not stored' end
      when e.id is null then 'is stored, but was not charged'
      when e.kind = 'void' then 'is stored, but its charge was voided'
      when (e.master_id, e.subaccount_id) <> (m.master_id, m.subaccount_id) then 'was charged to another account'
      when e.units <> m.units then 'has ' || m.units || ' units, but ' || e.units || ' were charged'
      when coalesce(r.recipients, 0) <> m.units
        then 'has ' || coalesce(r.recipients, 0) || ' recipients, but ' || m.units || ' units'
      end as problem
      from m full join e on e.id = m.id left join r on r.message_id = m.id
  )
  select (select count(*) from m) + (select count(*) from e) as read,
         coalesce((select jsonb_agg(jsonb_build_object('id', id, 'problem', problem) order by id) from judged
                    where problem is not null), '[]') as problems`;

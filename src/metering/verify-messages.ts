/**
 * Each stored message is charged once, for each of its recipients, and each charge has its message.
 *
 * Messages are kept for a while only: days whose messages have been purged are passed over. A message and its charge
 * commit together, so each page, one statement, sees both or neither. Of a part of the ledger the messages are looked at with whatever has
 * their ids, and its charges that have none among them.
 */
import { type RawBuilder, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { BEFORE_ALL, formatId, type MessageId } from "../platform/ids.ts";
import { idsOfDay, spanOfDay } from "./day-entries.ts";
import type { Findings } from "./difference.ts";
import { idAt } from "./ledger.ts";
import { isPart, messagesIn, type Part, rowsIn, type Scope } from "./scope.ts";

const WINDOW = 5000;

type Problem = Readonly<{ id: MessageId; problem: string }>;

export async function verifyMessages(db: Db, scope: Scope, findings: Findings): Promise<void> {
  for (const day of await keptDays(db)) {
    const problems = isPart(scope) ? await readPart(db, scope, day, findings) : await readDay(db, day, findings);
    // Purged while it was read: no message is missing then.
    if (problems.length === 0 || !(await keptDays(db)).includes(day)) continue;
    for (const { id, problem } of problems) {
      findings.found({ check: "messages", subject: formatId("msg", id), detail: problem });
    }
  }
}

/** The UTC days whose messages and recipients are stored. */
async function keptDays(db: Db): Promise<string[]> {
  const { rows } = await sql<{ day: string }>`
    select to_date(right(c.relname, 8), 'YYYYMMDD')::text as day from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent in ('message'::regclass, 'recipient'::regclass)
     group by 1 having count(*) = 2 order by 1`.execute(db);
  return rows.map((row) => row.day);
}

async function readDay(db: Db, day: string, findings: Findings): Promise<Problem[]> {
  const { fromMs, toMs } = spanOfDay(day);
  const to = idAt(toMs);
  const problems: Problem[] = [];
  for (let after = idAt(fromMs - 1); after < to; ) {
    const last = await windowEnd(db, after, to);
    problems.push(...(await judge(db, within(after, last), findings)));
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

async function readPart(db: Db, part: Part, day: string, findings: Findings): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (let after: string = BEFORE_ALL; ; ) {
    const { rows } = await sql<{ id: string }>`
      select id from message where ${messagesIn(part)} and kind = 'submitted' and ${idsOfDay(day)} and id > ${after}::uuid
       order by id limit ${WINDOW}`.execute(db);
    await look(rows);
    const last = rows.at(-1);
    if (last === undefined || rows.length < WINDOW) break;
    after = last.id;
  }
  const { rows } = await sql<{ id: string }>`
    select e.id from usage_entry e where ${rowsIn(part, "e")} and e.kind = 'accept' and ${idsOfDay(day, "e.id")}
       and not exists (select from message where id = e.id and ${idsOfDay(day)} and ${messagesIn(part)} offset 0)`.execute(
    db,
  );
  for (let from = 0; from < rows.length; from += WINDOW) await look(rows.slice(from, from + WINDOW));
  return problems;

  async function look(some: readonly { id: string }[]): Promise<void> {
    const ids = some.map(({ id }) => id);
    if (ids.length > 0) problems.push(...(await judge(db, among(ids, day), findings)));
  }
}

/** The rows of a table that are judged together. `id`: the column of the message's id. */
type Source = (table: "message" | "usage_entry" | "recipient", id: string) => RawBuilder<unknown>;

const within =
  (after: string, last: string): Source =>
  (table, id) =>
    sql`(select * from ${sql.table(table)} where ${sql.ref(id)} > ${after}::uuid and ${sql.ref(id)} <= ${last}::uuid)`;

/** Looked up one by one (`offset 0`): the planner would rather read the whole day. */
const among =
  (ids: readonly string[], day: string): Source =>
  (table, id) =>
    sql`(select found.* from unnest(${ids}::uuid[]) as wanted (one) cross join lateral (
          select * from ${sql.table(table)} where ${sql.ref(id)} = wanted.one and ${idsOfDay(day, id)} offset 0) found)`;

async function judge(db: Db, from: Source, findings: Findings): Promise<Problem[]> {
  const { rows } = await judged(from).execute(db);
  findings.read(rows[0]?.read ?? 0);
  return rows[0]?.problems ?? [];
}

const judged = (from: Source) => sql<{ read: number; problems: Problem[] }>`
  with m as materialized (
    select id, master_id, subaccount_id, units from ${from("message", "id")} x where kind = 'submitted'
  ), e as materialized (
    select id, master_id, subaccount_id, units, kind from ${from("usage_entry", "id")} x where kind <> 'correction'
  ), r as materialized (
    select message_id, count(*) as recipients from ${from("recipient", "message_id")} x group by 1
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

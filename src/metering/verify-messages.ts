/**
 * Each stored message is charged once, for each of its recipients, and each charge has its message.
 *
 * Messages are kept for a while only: days whose messages have been purged are passed over. A message and its charge
 * commit together, so each page, one statement, sees both or neither.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { formatId, type MessageId } from "../platform/ids.ts";
import type { Difference, Findings } from "./difference.ts";
import { idAt } from "./ledger.ts";

const PAGE = 5000;
const DAY_MS = 86_400_000;

type Page = { id: MessageId; problem: string | null; read: number };

export async function verifyMessages(db: Db, findings: Findings): Promise<void> {
  for (const day of await keptDays(db)) {
    const differences: Difference[] = [];
    const found = ({ id, problem }: Page) => {
      if (problem !== null) differences.push({ check: "messages", subject: formatId("msg", id), detail: problem });
    };
    await readPages(db, day, messagePage, found, findings);
    await readPages(db, day, entryPage, found, findings);
    // Purged while it was read: no message is missing then.
    if (differences.length === 0 || !(await keptDays(db)).includes(day)) continue;
    for (const difference of differences) findings.found(difference);
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

type SelectPage = (after: string, to: string) => ReturnType<typeof messagePage>;

async function readPages(
  db: Db,
  day: string,
  select: SelectPage,
  found: (row: Page) => void,
  findings: Findings,
): Promise<void> {
  const start = Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`);
  const to = idAt(start + DAY_MS);
  for (let after = idAt(start); ; ) {
    const { rows } = await select(after, to).execute(db);
    const last = rows.at(-1);
    if (last === undefined) return;
    findings.read(last.read);
    for (const row of rows) found(row);
    after = last.id;
  }
}

// The last row of a page comes along, wrong or not: the next page starts behind it.
const messagePage = (after: string, to: string) => sql<Page>`
  with page as materialized (
    select id, master_id, subaccount_id, units from message
     where kind = 'submitted' and id > ${after}::uuid and id < ${to}::uuid order by id limit ${PAGE}
  ), judged as (
    select p.id, case
      when e.id is null then 'is stored, but was not charged'
      when (e.master_id, e.subaccount_id) <> (p.master_id, p.subaccount_id) then 'was charged to another account'
      when e.units <> p.units then 'has ' || p.units || ' units, but ' || e.units || ' were charged'
      when r.recipients <> p.units then 'has ' || r.recipients || ' recipients, but ' || p.units || ' units'
      end as problem
      from page p left join usage_entry e on e.id = p.id and e.kind = 'accept',
           lateral (select count(*) as recipients from recipient where message_id = p.id) r
  )
  select id, problem, (select count(*) from page) as read from judged
   where problem is not null or id = (select id from page order by id desc limit 1) order by id`;

const entryPage = (after: string, to: string) => sql<Page>`
  with page as materialized (
    select id, kind from usage_entry where kind <> 'correction' and id > ${after}::uuid and id < ${to}::uuid order by id limit ${PAGE}
  ), judged as (
    select p.id, case
      when p.kind = 'accept' and m.id is null then 'was charged, but is not stored'
      when p.kind = 'void' and m.id is not null then 'is stored, but its charge was voided'
      end as problem
      from page p left join message m on m.id = p.id and m.kind = 'submitted'
  )
  select id, problem, (select count(*) from page) as read from judged
   where problem is not null or id = (select id from page order by id desc limit 1) order by id`;

/**
 * Every entry of the ledger is well formed: a charge belongs to a counter, all lie in their period; a void charges nothing; a
 * correction names a charge of its account, and takes back no more than was charged. It may come in a period without any mail.
 */
import { type RawBuilder, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { BEFORE_ALL, type EntryId, formatId, type MessageId } from "../platform/ids.ts";
import type { Findings } from "./difference.ts";
import { isPart, type Part, rowsIn, type Scope } from "./scope.ts";

const PAGE = 5000;

type Problem = Readonly<{ id: string; kind: string; problem: string }>;
/** Of an entry: period_start, subaccount_id, id. */
type Place = readonly [periodStart: string, subaccountId: string, id: string];
type Page = Readonly<{ last: Place | null; read: number; problems: Problem[] }>;
type Order = "id" | "period_start, subaccount_id, id";

const pageAfter = (after: string) => sql`select * from usage_entry where id > ${after}::uuid order by id limit ${PAGE}`;

// The bounds on ids are those of idsAround(). What belongs to an entry is looked up by index (`offset 0`): the planner would rather read the
// counters and the ledger of all masters, for a page of one as well.
const judge = (page: RawBuilder<unknown>, horizon: string, order: Order) => sql<Page>`
  with page as materialized (${page}), m as materialized (
    select u.account_id, u.period_start, u.period_end,
           uuid_at(u.period_start - interval '1 day') as first_id, uuid_at(u.period_end + interval '1 day') as end_id
      from (select distinct master_id, period_start from page) d
           cross join lateral (select * from usage where account_id = d.master_id and period_start = d.period_start offset 0) u
  ), judged as (
    select p.id, p.kind, case
      when p.kind = 'void' then case when p.units <> 0 then 'charges something' end
      when p.kind = 'sandbox' then case when p.units < 1 then 'counts nothing' end
      when p.kind = 'accept' and (m.account_id is null or u.account_id is null) then 'belongs to no counter'
      when p.accepted_at < p.period_start or p.accepted_at >= m.period_end then 'lies outside of its period'
      when p.id < m.first_id or p.id >= m.end_id then 'has an id that lies outside of its period'
      when p.kind = 'accept' then case when p.units < 1 then 'charges nothing' when p.corrects is not null then 'corrects another' end
      when p.corrects < ${horizon}::uuid then null
      when not exists (select from usage_entry c where c.id = p.corrects and c.kind = 'accept' and c.subaccount_id = p.subaccount_id offset 0)
        then 'corrects no charge of its account'
      when (select sum(x.units) not between -c.units and 0 from usage_entry c join usage_entry x on x.corrects = c.id and x.kind = 'correction'
             where c.id = p.corrects group by c.units) then 'takes back more than was charged'
      end as problem
      from page p
      left join lateral (select account_id from usage where account_id = p.subaccount_id and period_start = p.period_start offset 0) u on true
      left join m on m.account_id = p.master_id and m.period_start = p.period_start
  )
  select (select jsonb_build_array(period_start, subaccount_id, id) from page
           order by ${sql.join(order.split(", ").map((column) => sql`${sql.ref(column)} desc`))} limit 1) as last, (select count(*) from page) as read,
         coalesce((select jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'problem', problem) order by id) from judged
                    where problem is not null), '[]') as problems`;

/** @param horizon corrections of what lies before this id are judged by others: entries of archived months belong to it */
export async function verifyEntries(db: Db, scope: Scope, horizon: string, findings: Findings): Promise<void> {
  if (isPart(scope)) return await verifyPart(db, scope, horizon, findings);
  for (let after: string = BEFORE_ALL; ; ) {
    const { last, read } = await judgePage(db, { page: pageAfter(after), horizon }, findings);
    findings.read(read);
    if (last === null || read < PAGE) return; // what was accepted meanwhile belongs to the next look: a relay at work has no last entry
    after = last[2];
  }
}

const FIRST: Place = ["-infinity", BEFORE_ALL, BEFORE_ALL];

/**
 * In the order of the index on masters, which has nobody else's entries; a page in the order of ids would read them all. No bounds on ids: one
 * may lie far from its period.
 */
async function verifyPart(db: Db, part: Part, horizon: string, findings: Findings): Promise<void> {
  const order = "period_start, subaccount_id, id";
  for (let after = FIRST; ; ) {
    const page = sql`select * from usage_entry where ${rowsIn(part)}
      and (period_start, subaccount_id, id) > (${after[0]}::timestamptz, ${after[1]}::uuid, ${after[2]}::uuid)
      order by ${sql.raw(order)} limit ${PAGE}`;
    const { last, read } = await judgePage(db, { page, horizon, order }, findings);
    findings.read(read);
    if (last === null || read < PAGE) return;
    after = last;
  }
}

/** @param page rows of the ledger, by a query or from a file */
export async function judgePage(
  db: Db,
  { page, horizon, order = "id" }: Readonly<{ page: RawBuilder<unknown>; horizon: string; order?: Order }>,
  { found }: Pick<Findings, "found">,
): Promise<Pick<Page, "last" | "read">> {
  const { rows } = await judge(page, horizon, order).execute(db);
  const { last, read, problems } = rows[0]!;
  for (const { id, kind, problem } of problems) found({ check: "entries", ...tellEntry(id, kind, problem) });
  return { last, read };
}

export function tellEntry(id: string, kind: string, problem: string): { subject: string; detail: string } {
  const subject = kind === "correction" ? formatId("ent", id as EntryId) : formatId("msg", id as MessageId);
  return { subject, detail: `its ${kind} entry ${problem}` };
}

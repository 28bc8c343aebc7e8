/** How much there is to erase of an account. */
import { type RawBuilder, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { SubaccountId } from "../platform/ids.ts";

/** Rows with contents or addresses, and what is removed with them. */
export type Contents = Readonly<Record<(typeof contentKinds)[number], number>>;

export const contentKinds = [
  "messages",
  "captured",
  "events",
  "refusals",
  "audit_entries",
  "members",
  "domains",
] as const;

/** Of each kind nobody counts further: whoever asks, and the job, would wait for a number of which only the size counts. */
export const COUNTED_TO = 100_000;

export async function countContents(db: Db, id: SubaccountId, most = COUNTED_TO): Promise<Contents> {
  const upTo = (rows: RawBuilder<unknown>) => sql`(select count(*) from (${rows} limit ${sql.lit(most)}) x)`;
  const of = (table: string) => sql`select 1 from ${sql.table(table)} where subaccount_id = ${id}`;
  const messages = sql`${of("message")} and kind = 'submitted' union all ${of("message")} and kind = 'dsn'`;
  const { rows } = await sql<Contents>`
    select ${upTo(messages)} as messages, ${upTo(of("captured"))} as captured, ${upTo(of("event"))} as events,
           ${upTo(of("refusal"))} as refusals, ${upTo(of("audit_entry"))} as audit_entries,
           ${upTo(sql`${of("member")} and removed_at is null`)} as members, ${upTo(of("sender_domain"))} as domains`.execute(
    db,
  );
  return Object.fromEntries(contentKinds.map((kind) => [kind, Number(rows[0]?.[kind] ?? 0)])) as Contents;
}

/** What is done in pages, and counted as progress. */
export function rowsIn({ messages, captured, events, refusals, audit_entries }: Contents): number {
  return messages + captured + events + refusals + audit_entries;
}

/** How much there is to erase of an account. */
import { sql } from "kysely";
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

export async function countContents(db: Db, id: SubaccountId): Promise<Contents> {
  const { rows } = await sql<Contents>`
    select (select count(*) from message where subaccount_id = ${id} and kind = 'submitted')
             + (select count(*) from message where subaccount_id = ${id} and kind = 'dsn') as messages,
           (select count(*) from captured where subaccount_id = ${id}) as captured,
           (select count(*) from event where subaccount_id = ${id}) as events,
           (select count(*) from refusal where subaccount_id = ${id}) as refusals,
           (select count(*) from audit_entry where subaccount_id = ${id}) as audit_entries,
           (select count(*) from member where subaccount_id = ${id} and removed_at is null) as members,
           (select count(*) from sender_domain where subaccount_id = ${id}) as domains`.execute(db);
  return Object.fromEntries(contentKinds.map((kind) => [kind, Number(rows[0]?.[kind] ?? 0)])) as Contents;
}

/** What is done in pages, and counted as progress. */
export function rowsIn({ messages, captured, events, refusals, audit_entries }: Contents): number {
  return messages + captured + events + refusals + audit_entries;
}

/** The addresses of an account at which our letters bounce: its people should know, since alerts go there. */
import type { Db } from "../platform/database.ts";
import type { MasterId } from "../platform/ids.ts";

export type UndeliverableEmail = Readonly<{ email: string; since: Date; reason: string }>;

/** @param only this address: what a subaccount may know of its own; left out: all of the master's and its subaccounts' */
export async function listUndeliverable(
  db: Db,
  masterId: MasterId,
  only?: string | null,
): Promise<UndeliverableEmail[]> {
  if (only === null) return [];
  let query = db
    .selectFrom("undeliverable_email")
    .select(["email", "since", "reason"])
    .where("master_id", "=", masterId)
    .orderBy("since")
    .limit(100);
  if (only !== undefined) query = query.where("email", "=", only.toLowerCase());
  return query.execute();
}

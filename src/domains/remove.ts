/** Giving a domain up: its name is free for the next proof at once. */
import { requireDevelop } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { type DomainId, formatId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { lockDomain } from "./domain.ts";

/** @throws Fault not-found, forbidden */
export async function removeDomain(db: Db, principal: Principal, id: DomainId, clock: Clock): Promise<void> {
  requireDevelop(principal);
  await inTransaction(db, async (trx) => {
    const row = await lockDomain(trx, principal, id);
    await trx.deleteFrom("sender_domain").where("id", "=", id).execute();
    const { name, state, master_id: masterId, subaccount_id: subaccountId } = row;
    const change = { action: "domain.removed", target: formatId("dom", id), before: { name, state }, after: null };
    await record(trx, { principal, ...change, masterId, subaccountId }, clock);
  });
}

/** A master lends a domain of its own to its subaccounts, or takes that back. */
import { requireMasterChange } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { type DomainId, formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { type DomainRow, domainOf, lockDomain, type SenderDomain } from "./domain.ts";

/** `all`: every subaccount of the master, those to come too. */
export type Grantees = Readonly<{ all: true }> | Readonly<{ subaccountIds: readonly SubaccountId[] }>;

const MAX_AT_ONCE = 1000;

/** Granting again changes nothing. @throws Fault not-found, forbidden, invalid at /subaccount_ids/n, conflict for a subaccount's domain */
export async function grantDomain(
  db: Db,
  principal: Principal,
  id: DomainId,
  to: Grantees,
  clock: Clock,
): Promise<SenderDomain> {
  return changeGrants(db, principal, id, to, "domain.granted", clock);
}

/** `all` takes back the grant to all, not those to single subaccounts. @throws as grantDomain */
export async function withdrawDomain(
  db: Db,
  principal: Principal,
  id: DomainId,
  from: Grantees,
  clock: Clock,
): Promise<SenderDomain> {
  return changeGrants(db, principal, id, from, "domain.withdrawn", clock);
}

async function changeGrants(
  db: Db,
  principal: Principal,
  id: DomainId,
  grantees: Grantees,
  action: "domain.granted" | "domain.withdrawn",
  clock: Clock,
): Promise<SenderDomain> {
  requireMasterChange(principal);
  return inTransaction(db, async (trx) => {
    const before = await lockDomain(trx, principal, id);
    if (before.subaccount_id !== null) {
      throw new Fault("conflict", "This domain belongs to a subaccount; only a master's own can be granted.");
    }
    const granted = action === "domain.granted";
    const changed =
      "all" in grantees
        ? before.granted_to_all !== granted
        : await changeRows(trx, before, await ownSubaccounts(trx, before.master_id, grantees.subaccountIds), granted);
    if (!changed) return domainOf(before);
    const row = await trx
      .updateTable("sender_domain")
      .set({ version: before.version + 1, ...("all" in grantees ? { granted_to_all: granted } : {}) })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await note(trx, principal, action, row, grantees, clock);
    return domainOf(row);
  });
}

/** @throws Fault invalid for the first that is not this master's */
async function ownSubaccounts(trx: Db, masterId: MasterId, ids: readonly SubaccountId[]): Promise<SubaccountId[]> {
  if (ids.length === 0 || ids.length > MAX_AT_ONCE) {
    throw invalid("/subaccount_ids", `Name 1 to ${MAX_AT_ONCE} subaccounts.`);
  }
  const wanted = [...new Set(ids)];
  const rows = await trx
    .selectFrom("subaccount")
    .select("id")
    .where("master_id", "=", masterId)
    .where("id", "in", wanted)
    .execute();
  const known = new Set(rows.map((row) => row.id));
  const wrong = ids.findIndex((id) => !known.has(id));
  if (wrong >= 0) throw invalid(`/subaccount_ids/${wrong}`, "There is no such subaccount.");
  return wanted;
}

async function changeRows(trx: Db, domain: DomainRow, ids: SubaccountId[], granted: boolean): Promise<boolean> {
  if (granted) {
    const values = ids.map((subaccount_id) => ({ domain_id: domain.id, subaccount_id }));
    const insert = trx
      .insertInto("domain_grant")
      .values(values)
      .onConflict((conflict) => conflict.doNothing());
    return (await insert.returning("subaccount_id").execute()).length > 0;
  }
  const remove = trx.deleteFrom("domain_grant").where("domain_id", "=", domain.id).where("subaccount_id", "in", ids);
  return (await remove.returning("subaccount_id").execute()).length > 0;
}

async function note(trx: Db, principal: Principal, action: string, row: DomainRow, grantees: Grantees, clock: Clock) {
  const to = "all" in grantees ? "all" : grantees.subaccountIds.map((id) => formatId("sub", id));
  const members = { name: row.name, subaccounts: to };
  const [before, after] = action === "domain.granted" ? [null, members] : [members, null];
  const target = formatId("dom", row.id);
  await record(trx, { principal, action, target, before, after, masterId: row.master_id, subaccountId: null }, clock);
}

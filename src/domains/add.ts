/** Claiming a domain: it reserves nothing until it is verified. */
import { randomBytes } from "node:crypto";
import { findMaster, findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import { requireDevelop } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { type DomainId, formatId, newId } from "../platform/ids.ts";
import { base32 } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import { domainOf, ownableName, type SenderDomain } from "./domain.ts";

/**
 * @param ref whose it shall be; undefined: a master's own, for a subaccount itself
 * @throws Fault invalid at /name, not-found, forbidden, conflict when it is claimed already or the account is closed
 */
export async function addDomain(
  db: Db,
  principal: Principal,
  ref: SubaccountRef | undefined,
  input: Readonly<{ name: string }>,
  clock: Clock,
): Promise<SenderDomain> {
  requireDevelop(principal);
  const name = ownableName(input.name);
  return inTransaction(db, async (trx) => {
    const owner = await findOwner(trx, principal, ref, clock);
    const row = await trx
      .insertInto("sender_domain")
      .values({ id: newId<DomainId>(clock), ...owner, name, token: base32(randomBytes(20)), created_at: clock.now() })
      .onConflict((conflict) => conflict.doNothing())
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) {
      const detail = `${name} was added to this account before.`;
      throw new Fault("conflict", detail, [{ pointer: "/name", detail }]);
    }
    const { master_id: masterId, subaccount_id: subaccountId } = owner;
    const change = { action: "domain.added", target: formatId("dom", row.id), before: null, after: { name } };
    await record(trx, { principal, ...change, masterId, subaccountId }, clock);
    return domainOf(row);
  });
}

async function findOwner(trx: Db, principal: Principal, ref: SubaccountRef | undefined, clock: Clock) {
  const wanted = ref ?? (principal.kind === "subaccount" ? principal.subaccountId : undefined);
  const account =
    wanted === undefined
      ? await findMaster(trx, principal, undefined, clock, "keep")
      : await findSubaccount(trx, principal, wanted, clock, "keep");
  if (account.ownState === "closed" || account.ownState === "archived") {
    throw new Fault("conflict", `The account is ${account.ownState}; reopen it first.`);
  }
  if ("masterId" in account) return { master_id: account.masterId, subaccount_id: account.id };
  return { master_id: account.id, subaccount_id: null };
}

/** Acting for another account (the header Postmeter-Account): the principal is narrowed to it, never widened. */
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import { parseId } from "../platform/ids.ts";
import { findMaster, findSubaccount, parseSubaccountRef } from "./find.ts";
import { type Frozen, type Operator, type Principal, type SubaccountPrincipal, scopesOf } from "./principal.ts";

/**
 * @param account `mas_...` for the operator, `sub_...` for it and for a master, `ext:<external_id>` for a master
 * @throws Fault not-found, also for every account that is not the caller's
 */
export async function actFor(db: Db, principal: Principal, account: string, clock: Clock): Promise<Principal> {
  const masterId = parseId("mas", account);
  if (masterId !== undefined) {
    const master = await findMaster(db, principal, masterId, clock);
    if (principal.kind === "master") return principal;
    return { kind: "master", masterId: master.id, keyId: null, ...asOperator(principal) };
  }
  const ref = parseSubaccountRef(account);
  if (ref === undefined) throw notFound("account");
  const subaccount = await findSubaccount(db, principal, ref, clock);
  if (principal.kind === "subaccount") return principal;
  const owner = { masterId: subaccount.masterId, subaccountId: subaccount.id };
  const narrowed = { kind: "subaccount", ...owner, keyId: null } as const;
  if (principal.kind === "operator") return { ...narrowed, ...asOperator(principal) };
  const scopes = principal.scopes.filter((scope) => scope !== "billing");
  const inherited = principal.operator ? { operator: true as const } : { by: principal };
  return { ...narrowed, scopes, ...inherited, ...frozenBy(principal, subaccount.state) };
}

function asOperator(principal: Operator | SubaccountPrincipal) {
  const { memberId } = principal;
  return { scopes: scopesOf(principal), operator: true as const, ...(memberId === undefined ? {} : { memberId }) };
}

/** The operator is not bound by a state. */
function frozenBy(principal: Principal & { kind: "master" }, state: string): { frozen?: Frozen } {
  return state === "active" || principal.operator ? {} : { frozen: state as Frozen };
}

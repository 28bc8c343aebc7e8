/**
 * "Log in as": whoever looks after an account opens it as its people see it, by a link of 60 s, for 15 minutes.
 *
 * Invariant: a reason is given and stands, with who acts, in the log of both sides; the rights are never more than those of
 * who asked; what is done is recorded as done by him. A closed or archived account can't be opened.
 */
import type { Master, Subaccount } from "../accounts/account.ts";
import { line } from "../accounts/fields.ts";
import { requireChange } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatAccount, formatId, type MasterId } from "../platform/ids.ts";
import type { Acting } from "../platform/schema-people.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import { createLink, type Link, readLink, useLink } from "./links.ts";
import { startSession } from "./sessions.ts";

const LINK_MS = 60_000;

export type LogInAs = Readonly<{ reason: string; readOnly?: boolean | undefined }>;

/** @throws Fault invalid at /reason, forbidden, conflict for a closed or archived account */
export async function createLogInAs(
  db: Db,
  principal: Principal,
  account: Master | Subaccount,
  input: LogInAs,
  keyring: Keyring,
  clock: Clock,
): Promise<Readonly<{ path: string; expiresAt: Date }>> {
  if (principal.kind === "subaccount") throw new Fault("forbidden", "Only whoever looks after an account may do this.");
  requireChange(principal);
  const wrong = line(500)(input.reason);
  if (wrong !== undefined) throw invalid("/reason", wrong);
  if (account.state === "closed" || account.state === "archived") {
    throw new Fault("conflict", `The account is ${account.state}: nobody can be logged in there.`);
  }
  const subaccount = "masterId" in account ? account : undefined;
  const masterId = subaccount?.masterId ?? (account.id as MasterId);
  if (subaccount === undefined && principal.kind === "master")
    throw new Fault("forbidden", "This is your own account.");
  const where = { masterId, subaccountId: subaccount?.id ?? null };
  const acting = actingOf(principal, input.reason, input.readOnly === true);
  return inTransaction(db, async (trx) => {
    const link = { purpose: "log_in_as", ttlMs: LINK_MS, ...where, data: { acting } } as const;
    const { token, expiresAt } = await createLink(trx, link, keyring, clock);
    const after = { reason: acting.reason, read_only: acting.read_only };
    await record(
      trx,
      { principal, action: "account.log_in_as", target: formatAccount(where), before: null, after, ...where },
      clock,
    );
    return { path: `/login-as/${token}`, expiresAt };
  });
}

function actingOf(principal: Exclude<Principal, { kind: "subaccount" }>, reason: string, readOnly: boolean): Acting {
  const operator = principal.kind === "operator" || principal.operator === true;
  const { memberId } = principal;
  const keyId = principal.kind === "master" ? principal.keyId : null;
  return {
    by: operator ? "operator" : "master",
    ...(keyId === null ? {} : { key_id: formatId("key", keyId) }),
    ...(memberId === undefined ? {} : { member_id: formatId("mem", memberId) }),
    reason,
    read_only: readOnly,
  };
}

/** For the page that asks before it goes on. @throws Fault gone */
export async function readLogInAs(db: Db, token: string, keyring: Keyring, clock: Clock): Promise<Acting> {
  return actingIn(await readLink(db, token, "log_in_as", keyring, clock));
}

const actingIn = (link: Link) => (link.data as { acting: Acting }).acting;

/** Uses the link. @returns the token of the session. @throws Fault gone */
export async function enterLogInAs(
  db: Db,
  token: string,
  client: Readonly<{ clientAddress: string; userAgent: string }>,
  keyring: Keyring,
  clock: Clock,
): Promise<string> {
  return inTransaction(db, async (trx) => {
    const link = await useLink(trx, token, "log_in_as", keyring, clock);
    const account = { masterId: link.master_id, subaccountId: link.subaccount_id };
    const acting = actingIn(link);
    const session = { personId: null, memberId: null, ...account, acting, ...client };
    return (await startSession(trx, session, keyring, clock)).token;
  });
}

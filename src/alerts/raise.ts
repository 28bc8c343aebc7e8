/**
 * The link in an alert by which whoever has the mail may raise the limit of that subaccount, once, until the period ends.
 *
 * Without a log-in a link raises at most as far as the master has set (`raise_link_max_percent`), and all links of a period
 * together no further, reckoned from the limit before the first of them; above that, somebody has to be logged in who may
 * change the limit anyway. It never lowers one. An allowance and strict allocation bind it as they bind every change.
 *
 * Invariant: looking at a link changes nothing. A raise counts only against the limit that its terms were reckoned from. It is used up in the transaction of the raise, which is audited with it; of
 * any number of tries at once one wins.
 * On failure: nothing is changed, and the link is good as before.
 */
import { sql } from "kysely";
import type { Subaccount } from "../accounts/account.ts";
import { changeSubaccount } from "../accounts/change-subaccount.ts";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import type { MasterPrincipal, Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import { periodAt } from "../metering/period.ts";
import { type AccountForecast, readForecast } from "../metering/read-forecast.ts";
import { readUsages, type SubaccountUsage } from "../metering/usage.ts";
import { createLink, type Link, readLink, useLink } from "../people/links.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import { proposeLimit } from "./proposal.ts";
import type { AlertContext } from "./read-alerts.ts";

const RAISED = "quota.raised_by_link";

export type RaiseDeps = Readonly<{ keyring: Keyring; clock: Clock }>;

/** The path of a new link; null where there is no limit that could be raised by its reader. */
export async function createRaiseLink(
  trx: Db,
  { alert, account }: AlertContext,
  { keyring, clock }: RaiseDeps,
): Promise<string | null> {
  const ttlMs = account.periodEnd.getTime() - clock.now().getTime();
  const bounded = alert.account_id !== alert.master_id && account.cap !== null;
  if (!bounded || alert.reason === "jump" || ttlMs <= 0) return null;
  const { token } = await createLink(
    trx,
    {
      purpose: "raise",
      ttlMs,
      masterId: alert.master_id,
      subaccountId: alert.account_id as SubaccountId,
      data: { alert_id: formatId("alr", alert.id) },
    },
    keyring,
    clock,
  );
  return `/raise/${token}`;
}

export type Raise = Readonly<{
  subaccount: Subaccount;
  limit: number;
  usage: SubaccountUsage;
  forecast: AccountForecast;
  /** Null: there is no room for any. */
  proposal: number | null;
  /** So far the link reaches without a log-in. */
  bound: number;
}>;

/** What the page shows. @throws Fault gone (used, expired, no such link), conflict where there is no limit any more */
export async function readRaise(db: Db, token: string, deps: RaiseDeps): Promise<Raise> {
  const link = await readLink(db, token, "raise", deps.keyring, deps.clock);
  const { principal, subaccount, limit, bound } = await readTerms(db, link, deps.clock);
  const forecast = await readForecast(db, principal, subaccount.id, deps.clock);
  const usage = (await readUsages(db, principal, [subaccount], deps.clock)).get(subaccount.id)!;
  const { allowance, overage } = await findMaster(db, principal, subaccount.masterId, deps.clock);
  const proposal = proposeLimit({
    limit,
    topUp: usage.topUp,
    used: usage.used,
    expected: forecast.atEnd?.expected ?? null,
    most: overage === "block" ? allowance : null,
  });
  return { subaccount, limit, usage, forecast, proposal, bound };
}

/**
 * @param by who is logged in
 * @throws Fault gone, invalid at /limit, unauthorized (further than the link reaches), forbidden, conflict (no room)
 */
export async function confirmRaise(
  db: Db,
  token: string,
  limit: number,
  by: Principal | undefined,
  { keyring, clock }: RaiseDeps,
): Promise<Subaccount> {
  return inTransaction(db, async (trx) => {
    const link = await useLink(trx, token, "raise", keyring, clock);
    const { principal, subaccount, limit: before, bound } = await readTerms(trx, link, clock);
    if (!Number.isSafeInteger(limit) || limit <= before) {
      throw invalid("/limit", `The new limit is a whole number above the present one of ${before}.`);
    }
    const within = limit <= bound;
    if (!within && by === undefined) {
      throw new Fault("unauthorized", `Without a log-in this link raises the limit to ${bound} at most.`);
    }
    const acting = within ? principal : by!;
    const { id: subaccountId, masterId, version } = subaccount;
    const changed = await changeSubaccount(trx, acting, subaccountId, { monthlyLimit: limit }, { version }, clock);
    const after = { link_id: formatId("lnk", link.id), ...link.data, monthly_limit: limit, logged_in: !within };
    await record(
      trx,
      {
        principal: acting,
        action: RAISED,
        target: formatId("sub", subaccountId),
        before: { monthly_limit: before },
        after,
        masterId,
        subaccountId,
      },
      clock,
    );
    return changed;
  });
}

type Terms = Readonly<{ principal: MasterPrincipal; subaccount: Subaccount; limit: number; bound: number }>;

/** The link acts for the master in this one matter. */
async function readTerms(db: Db, link: Link, clock: Clock): Promise<Terms> {
  const masterId = link.master_id as MasterId;
  const principal: MasterPrincipal = { kind: "master", masterId, keyId: null, scopes: ["full"] };
  const subaccount = await findSubaccount(db, principal, link.subaccount_id as SubaccountId, clock);
  const { monthlyLimit: limit } = subaccount;
  if (limit === null) throw new Fault("conflict", "The account has no limit any more: there is nothing to raise.");
  const { raiseLinkMaxPercent, state } = await findMaster(db, principal, masterId, clock);
  if (state !== "active") throw new Fault("conflict", "The account may change nothing at present.");
  const first = await firstRaised(db, subaccount, clock);
  const bound = Math.floor(((first ?? limit) * (100 + raiseLinkMaxPercent)) / 100);
  return { principal, subaccount, limit, bound };
}

/** The limit before the first raise by a link in the running period, as the audit log has it. */
async function firstRaised(db: Db, { id, calendar }: Subaccount, clock: Clock): Promise<number | null> {
  const { start } = periodAt(calendar, clock.now());
  const { rows } = await sql<{ limit: number | null }>`
    select (before ->> 'monthly_limit')::bigint as limit from audit_entry
     where subaccount_id = ${id} and id >= uuid_at(${start}) and action = ${RAISED} order by id limit 1`.execute(db);
  return rows[0]?.limit ?? null;
}

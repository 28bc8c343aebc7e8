/**
 * What the door for clients must know of an account at each message, without asking the database each time.
 *
 * Invariant: the state is the one of the last few seconds, or newer; end dates are looked at each time. The usage rows
 * decide again at acceptance, under locks.
 */
import { sql } from "kysely";
import type { Calendar } from "../metering/period.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { CredentialId, MasterId, SubaccountId } from "../platform/ids.ts";
import type { Guard, Rate } from "../quota/gate.ts";
import type { AccountChanges } from "./changes.ts";
import { selectSubaccounts, statesOf, subaccountOf } from "./find.ts";
import type { SubaccountPrincipal } from "./principal.ts";
import { createRecent, type Soon, whenKnown } from "./recent.ts";
import { type ShownState, type StateFacts, shownState } from "./states.ts";

export type SendingAccount = Readonly<{
  kind: "sending";
  principal: SubaccountPrincipal;
  masterId: MasterId;
  subaccountId: SubaccountId;
  credentialId: CredentialId | null;
  /** Its mail is counted apart, and never delivered. */
  sandbox: boolean;
  /** The master's: `periodAt(calendar, now)` is the period that is charged. */
  calendar: Calendar;
  senderPolicy: "verified" | "any";
  /** The master's own sending: its domains are usable without a grant. */
  own: boolean;
  /** Left out where only the monthly limits hold its mail back. The same object as long as nothing is read anew. */
  guard?: Guard;
  /** Of its brand, for refusals; left out where there is none. */
  supportAddress?: string;
}>;

export type Inactive = Readonly<{
  kind: "inactive";
  state: Exclude<ShownState, "active">;
  /** The master's words for its disabled subaccount. */
  publicMessage: string | null;
  supportAddress?: string;
}>;

export type SendingAccounts = Readonly<{
  /** Of the principal that authenticated, at this moment. Undefined: no such account, or its credential is revoked. */
  of(principal: SubaccountPrincipal): Soon<SendingAccount | Inactive | undefined>;
}>;

type Facts = Readonly<{
  masterId: MasterId;
  sandbox: boolean;
  own: boolean;
  states: readonly StateFacts[];
  calendar: Calendar;
  senderPolicy: "verified" | "any";
  publicMessage: string | null;
  guard: Guard | undefined;
  /** Spread into what is given out. */
  support: Readonly<{ supportAddress?: string }>;
}>;

export function createSendingAccounts(
  options: Readonly<{ db: Db; clock: Clock; changes: AccountChanges }>,
): SendingAccounts {
  const { db, clock, changes } = options;
  const recent = createRecent<Facts>({
    changes,
    read: (key) => readFacts(db, key, clock),
    concerns: (change, { masterId }, key) =>
      change.kind === "master" ? change.id === masterId : "id" in change && key.split(" ").includes(change.id),
  });
  const now = (facts: Facts | undefined, principal: SubaccountPrincipal): SendingAccount | Inactive | undefined => {
    if (facts === undefined || facts.masterId !== principal.masterId) return undefined;
    const state = shownState(clock.now(), ...facts.states);
    const { masterId, calendar, senderPolicy, own, guard, sandbox, publicMessage, support } = facts;
    if (state !== "active") return { kind: "inactive", state, publicMessage, ...support };
    const { subaccountId, credentialId = null } = principal;
    const ids = { masterId, subaccountId, credentialId };
    const account = { principal, ...ids, sandbox, calendar, senderPolicy, own, ...support };
    return guard === undefined ? { kind: "sending", ...account } : { kind: "sending", ...account, guard };
  };
  return {
    of(principal) {
      const facts = recent.get(`${principal.subaccountId} ${principal.credentialId ?? ""}`);
      return whenKnown(facts, (known) => now(known, principal));
    },
  };
}

/** `key`: the subaccount's id, a space, and the credential's if there is one. */
async function readFacts(db: Db, key: string, clock: Clock): Promise<Facts | undefined> {
  const [id, credentialId] = key.split(" ") as [SubaccountId, CredentialId];
  const credential = sql`${credentialId || null}::uuid`;
  let query = selectSubaccounts(db)
    .leftJoin("brand as sb", "sb.account_id", "s.id")
    .leftJoin("brand as mb", "mb.account_id", "m.id")
    .select([
      "m.sender_policy",
      (eb) => eb.fn.coalesce("sb.support_address", "mb.support_address").as("support_address"),
      sql<boolean | null>`(select transactional from credential where id = ${credential})`.as("transactional"),
      sql<boolean>`coalesce((select sandbox from credential where id = ${credential}), false)`.as("boxed"),
    ])
    .select(
      sql<
        Rate[]
      >`(select coalesce(json_agg(r), '[]') from rates_in_force(array[s.id], array[${credential}], pm_now()) r)`.as(
        "rates",
      ),
    )
    .select(sql<boolean>`credits_left(s.id, pm_now()) > 0`.as("credits"))
    .where("s.id", "=", id);
  if (credentialId) {
    query = query
      .innerJoin("credential as c", "c.subaccount_id", "s.id")
      .where("c.id", "=", credentialId)
      .where("c.revoked_at", "is", null);
  }
  const row = await query.executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    masterId: row.master_id,
    sandbox: row.sandbox || row.boxed,
    own: row.own,
    states: statesOf(row),
    calendar: subaccountOf(row, clock.now()).calendar,
    senderPolicy: row.sender_policy,
    publicMessage: row.public_message,
    guard: guardOf(row),
    support: row.support_address === null ? {} : { supportAddress: row.support_address },
  };
}

type GuardColumns = Readonly<{
  reserve: number | null;
  transactional: boolean | null;
  rates: readonly Rate[];
  credits: boolean;
}>;

function guardOf({ reserve, transactional, rates, credits }: GuardColumns): Guard | undefined {
  if (rates.length === 0 && !reserve && !credits) return undefined;
  const guard = { reserve: reserve ?? 0, transactional: transactional === true, rates };
  return credits ? { ...guard, credits } : guard;
}

/**
 * Proof of a domain: the TXT record `_postmeter.<domain>` with the claim's token.
 *
 * Invariant: the first proof wins on the whole platform; only a closed holder loses the name to a new proof. A verified
 * domain whose proof is gone stays verified for 72 h; a DNS that does not answer changes nothing.
 */
import { requireDevelop } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { type DomainId, formatId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import {
  type DomainRow,
  domainOf,
  findDomain,
  lockDomain,
  proofName,
  proofValue,
  type SenderDomain,
} from "./domain.ts";
import type { TxtLookup } from "./lookup.ts";

type Actor = Principal | Readonly<{ kind: "system" }>;

const GRACE_MS = 72 * 3_600_000;

/** @throws Fault not-found, forbidden, conflict when another account has proved it, unavailable when the DNS does not answer */
export async function verifyDomain(
  db: Db,
  principal: Principal,
  id: DomainId,
  lookup: TxtLookup,
  clock: Clock,
): Promise<SenderDomain> {
  requireDevelop(principal);
  const { name } = await findDomain(db, principal, id);
  const answer = await lookup(proofName(name));
  if (answer.kind === "unavailable") {
    throw new Fault("unavailable", `The DNS did not answer for ${proofName(name)}; try again in a moment.`);
  }
  return settleProof(db, principal, id, answer.values, clock);
}

/** Writes down what a look-up has found. @throws Fault not-found, conflict when another account has proved it */
export async function settleProof(
  db: Db,
  principal: Actor,
  id: DomainId,
  found: readonly string[],
  clock: Clock,
): Promise<SenderDomain> {
  try {
    return await inTransaction(db, async (trx) => {
      const before = await lockDomain(trx, principal, id);
      const proven = found.includes(proofValue(before.token));
      if (proven && before.state !== "verified") await takeFromClosed(trx, before.name, clock);
      const change = proven ? provenNow(before, clock) : unprovenNow(before, clock);
      const row = await trx
        .updateTable("sender_domain")
        .set({ ...change, found: [...found], checked_at: clock.now() })
        .where("id", "=", id)
        .returningAll()
        .executeTakeFirstOrThrow();
      if (row.state !== before.state) await tell(trx, principal, before, row, clock);
      return domainOf(row);
    });
  } catch (error) {
    if ((error as { code?: string }).code === "23505") throw heldByAnother();
    throw error;
  }
}

type Change = Partial<Pick<DomainRow, "state" | "verified_at" | "failing_since" | "version">>;

function provenNow({ state, version }: DomainRow, clock: Clock): Change {
  if (state === "verified") return { failing_since: null };
  return { state: "verified", verified_at: clock.now(), failing_since: null, version: version + 1 };
}

function unprovenNow({ state, failing_since: since, version }: DomainRow, clock: Clock): Change {
  if (state === "failed") return {};
  if (state === "pending") return { state: "failed", version: version + 1 };
  const from = since ?? clock.now();
  if (clock.now().getTime() - from.getTime() < GRACE_MS) return { failing_since: from };
  return { state: "failed", verified_at: null, failing_since: null, version: version + 1 };
}

/** @throws Fault conflict when the holder is not closed */
async function takeFromClosed(trx: Db, name: string, clock: Clock): Promise<void> {
  const holder = await trx
    .selectFrom("sender_domain as d")
    .innerJoin("master as m", "m.id", "d.master_id")
    .leftJoin("subaccount as s", "s.id", "d.subaccount_id")
    .selectAll("d")
    .select(["m.state as master_state", "s.state as subaccount_state"])
    .where("d.name", "=", name)
    .where("d.state", "=", "verified")
    .forUpdate("d")
    .executeTakeFirst();
  if (holder === undefined) return;
  const { master_state, subaccount_state, ...row } = holder;
  const closed = master_state === "closed" || subaccount_state === "closed" || subaccount_state === "archived";
  if (!closed) throw heldByAnother();
  const after = { ...row, state: "failed" as const, verified_at: null, failing_since: null, version: row.version + 1 };
  const { state, verified_at, failing_since, version } = after;
  await trx
    .updateTable("sender_domain")
    .set({ state, verified_at, failing_since, version })
    .where("id", "=", row.id)
    .execute();
  await tell(trx, { kind: "system" }, row, after, clock);
}

function heldByAnother(): Fault {
  const detail = "Another account has proved this domain. Its holder must delete it there first.";
  return new Fault("conflict", detail);
}

async function tell(trx: Db, principal: Actor, before: DomainRow, after: DomainRow, clock: Clock): Promise<void> {
  const { id, name, state, master_id: masterId, subaccount_id: subaccountId } = after;
  const type = state === "verified" ? "domain.verified" : "domain.failed";
  const states = { before: { name, state: before.state }, after: { name, state } };
  const target = formatId("dom", id);
  await record(trx, { principal, action: type, target, ...states, masterId, subaccountId }, clock);
  await emit(trx, { type, masterId, subaccountId, at: clock.now(), data: { domain: name, domain_id: target } }, clock);
}

/**
 * Offering an account to another payer, and taking the offer back.
 *
 * Invariant: of an account one transfer is open at a time. The token is shown once, kept as a keyed hash, and lapses with the offer
 * after seven days; it is no proof of who brings it.
 */
import { findMaster, findSubaccount } from "../accounts/find.ts";
import { requireChange, requireOperator } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { LetterDeps } from "../letters/send.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid, notFound } from "../platform/errors.ts";
import { formatId, type MasterId, newId, type SubaccountId, type TransferId } from "../platform/ids.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import { requireLeave } from "./leave.ts";
import { selectTransfers, type Transfer, transferMembers, transferOf } from "./transfer.ts";
import { tellOffered } from "./transfer-letter.ts";

export type Offer = Readonly<{
  subaccountId: SubaccountId;
  /** Left out: whichever master brings the token. */
  toMaster?: MasterId | undefined;
  /** It is to be a master of its own, on terms that the operator sets. */
  standalone?: boolean | undefined;
}>;

const LIFETIME_MS = 7 * 86_400_000;
const REQUEST_LIFETIME_MS = 30 * 86_400_000;

/** @throws Fault not-found, forbidden, invalid, conflict when it can't leave or another transfer is open */
export async function offerTransfer(
  db: Db,
  principal: Principal,
  { subaccountId, toMaster, standalone = false }: Offer,
  deps: LetterDeps & Readonly<{ keyring: Keyring }>,
): Promise<Readonly<{ transfer: Transfer; token: string }>> {
  const { keyring, clock } = deps;
  requireChange(principal);
  if (standalone && toMaster !== undefined) throw invalid("/to_master", "A standalone account has no other master.");
  if (principal.kind === "subaccount" && !standalone) {
    throw new Fault("forbidden", "An account may ask to stand alone; to another master its own master offers it.");
  }
  return inTransaction(db, async (trx) => {
    const subaccount = await findSubaccount(trx, principal, subaccountId, clock, "change");
    await requireLeave(trx, principal, subaccount);
    if (toMaster === subaccount.masterId) throw invalid("/to_master", "It is under this master.");
    // Who has a master's id may offer it something; nothing of that master is shown.
    if (toMaster !== undefined) await requireMaster(trx, toMaster, clock);
    const token = `pm_tra_${keyring.newSecret()}`;
    const transfer = await insert(
      trx,
      {
        kind: standalone ? "standalone" : "move",
        subaccount_id: subaccount.id,
        from_master_id: subaccount.masterId,
        to_master_id: toMaster ?? null,
        state: "offered",
        offered_by: principal.kind === "subaccount" ? "subaccount" : "master",
        token_hash: keyring.hash(token),
      },
      LIFETIME_MS,
      clock,
    );
    await noteTransfer(trx, principal, "transfer.offered", transfer, null, clock);
    await tellOffered(trx, transfer, subaccount, token, deps);
    return { transfer, token };
  });
}

async function requireMaster(trx: Db, id: MasterId, clock: Clock): Promise<void> {
  const { ownState } = await findMaster(trx, { kind: "operator", via: "key" }, id, clock).catch((error: unknown) => {
    if (error instanceof Fault && error.kind === "not-found") throw invalid("/to_master", "There is no such master.");
    throw error;
  });
  if (ownState !== "active") throw invalid("/to_master", "There is no such master.");
}

/**
 * The owner of a closed account wants to go on with an account of its own. Its master is not asked; the operator approves.
 * @param principal the operator, or the owner, whom the page has made sure of
 * @throws Fault not-found, conflict when it is not closed, can't leave, or has asked already
 */
export async function requestRenewal(
  db: Db,
  principal: Principal,
  subaccountId: SubaccountId,
  clock: Clock,
): Promise<Transfer> {
  if (principal.kind !== "subaccount") requireOperator(principal);
  return inTransaction(db, async (trx) => {
    const subaccount = await findSubaccount(trx, principal, subaccountId, clock, "change");
    await requireLeave(trx, principal, subaccount);
    if (subaccount.ownState !== "closed" && subaccount.ownState !== "archived") {
      throw new Fault("conflict", "Only a closed account is renewed as one of its own.");
    }
    const row = {
      kind: "renewal",
      subaccount_id: subaccount.id,
      from_master_id: subaccount.masterId,
      to_master_id: null,
      state: "accepted",
      offered_by: "subaccount",
      token_hash: null,
    } as const;
    const transfer = await insert(trx, row, REQUEST_LIFETIME_MS, clock);
    await noteTransfer(trx, principal, "transfer.requested", transfer, null, clock);
    return transfer;
  });
}

type NewRow = Readonly<{
  kind: Transfer["kind"];
  subaccount_id: SubaccountId;
  from_master_id: MasterId;
  to_master_id: MasterId | null;
  state: "offered" | "accepted";
  offered_by: "master" | "subaccount";
  token_hash: Buffer | null;
}>;

/** Under the lock on the account, so that two offers don't come at once. */
async function insert(trx: Db, row: NewRow, lifetimeMs: number, clock: Clock): Promise<Transfer> {
  const now = clock.now();
  await trx
    .updateTable("transfer")
    .set({ state: "expired", token_hash: null, settled_at: now })
    .where("subaccount_id", "=", row.subaccount_id)
    .where("state", "in", ["offered", "accepted"])
    .where("expires_at", "<=", now)
    .execute();
  const inserted = await trx
    .insertInto("transfer")
    .values({
      ...row,
      id: newId<TransferId>(clock),
      created_at: now,
      expires_at: new Date(now.getTime() + lifetimeMs),
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
  if (inserted === undefined)
    throw new Fault("conflict", "Another transfer of this account is open: withdraw it first.");
  return transferOf(inserted, now);
}

/** `withdraw`: by who has offered it. `decline`: by the other side, or the operator. Repeating it changes nothing. */
export async function endTransfer(
  db: Db,
  principal: Principal,
  id: TransferId,
  how: "withdraw" | "decline",
  clock: Clock,
): Promise<Transfer> {
  requireChange(principal);
  return inTransaction(db, async (trx) => {
    const row = await selectTransfers(trx, principal).where("t.id", "=", id).forUpdate("t").executeTakeFirst();
    if (row === undefined) throw notFound("transfer");
    const before = transferOf(row, clock.now());
    const state = how === "withdraw" ? "withdrawn" : "declined";
    if (before.state === state) return before;
    if (principal.kind !== "operator" && offers(principal, before) !== (how === "withdraw")) {
      throw new Fault("forbidden", `Only ${how === "withdraw" ? "who has offered it" : "the other side"} may do this.`);
    }
    if (before.state !== "offered" && before.state !== "accepted") {
      throw new Fault("conflict", `The transfer is ${before.state}.`);
    }
    const ended = { state, token_hash: null, settled_at: clock.now() } as const;
    await trx.updateTable("transfer").set(ended).where("id", "=", id).execute();
    const after: Transfer = { ...before, state, settledAt: ended.settled_at };
    await noteTransfer(trx, principal, `transfer.${state}`, after, before, clock);
    return after;
  });
}

function offers(principal: Principal, { offeredBy, fromMasterId }: Transfer): boolean {
  if (principal.kind === "subaccount") return offeredBy === "subaccount";
  return principal.kind === "master" && offeredBy === "master" && principal.masterId === fromMasterId;
}

export async function noteTransfer(
  trx: Db,
  principal: Principal,
  action: string,
  transfer: Transfer,
  before: Transfer | null,
  clock: Clock,
): Promise<void> {
  const { id, fromMasterId: masterId, subaccountId } = transfer;
  const shown = { before: before && transferMembers(before), after: transferMembers(transfer) };
  await record(trx, { principal, action, target: formatId("tra", id), ...shown, masterId, subaccountId }, clock);
}

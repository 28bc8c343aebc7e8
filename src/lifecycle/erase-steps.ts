/**
 * What an erasure does, in its order: what there may be much of in pages, the letters to its people while their addresses are
 * known, and at last the account itself.
 *
 * Invariant: each step may be done again. What says whose addresses they are goes last, so that after a death in the middle
 * nothing is left that nobody would find any more.
 */
import { addressesOfAccount, eraseAccount, stillUsed } from "../accounts/erase.ts";
import { forgetRules } from "../alerts/forget-rules.ts";
import { eraseEntries } from "../audit/erase.ts";
import { forgetBrand } from "../branding/forget.ts";
import { eraseItems } from "../bulk/erase.ts";
import { eraseCaptured } from "../delivery/erase-captured.ts";
import { forgetDomains } from "../domains/forget.ts";
import { eraseBounces, eraseEvents } from "../events/erase.ts";
import { eraseLetters } from "../letters/erase.ts";
import { eraseRefusals } from "../metering/erase-refusals.ts";
import { idAt } from "../metering/ledger.ts";
import { addressesOfMembers, eraseMembers } from "../people/erase.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { SubaccountId } from "../platform/ids.ts";
import { eraseNotes } from "../quota/erase-notes.ts";
import { eraseReviews } from "../reviews/erase.ts";
import { eraseMessages, forgetDoubts } from "../spool/erase.ts";
import type { Erasure } from "./erasure.ts";

/** Nodes differ by seconds at most. */
const CLOCKS_APART_MS = 60_000;

/** Ids of what it has done, ascending; fewer than `limit`: it is through. */
type Step = (trx: Db, id: SubaccountId, after: string, limit: number) => Promise<readonly string[]>;

/** First: what is written into the audit log of it is erased with the rest of that. */
export async function eraseBrand(trx: Db, { askedBy, masterId, subaccountId }: Erasure, clock: Clock): Promise<void> {
  await forgetBrand(trx, askedBy, { masterId, subaccountId }, clock);
}

/** In pages. */
export const steps: readonly Step[] = [
  eraseMessages,
  (trx, id, _, limit) => eraseCaptured(trx, id, limit),
  eraseEvents,
  eraseRefusals,
  eraseEntries,
];

/**
 * What was written while the pages were done: on a closed account there is little. Under the lock on the account, so that the
 * last of it is found.
 */
export async function eraseLatest(trx: Db, { subaccountId, createdAt }: Erasure, limit: number): Promise<void> {
  const since = idAt(createdAt.getTime() - CLOCKS_APART_MS);
  for (const step of [eraseEvents, eraseRefusals, eraseEntries]) {
    let page: readonly string[];
    let after: string = since;
    do {
      page = await step(trx, subaccountId, after, limit);
      after = page.at(-1) ?? after;
    } while (page.length === limit);
  }
}

/** Where its people were written to, and nobody else of its master is. */
export async function eraseCorrespondence(trx: Db, { masterId, subaccountId }: Erasure): Promise<"done" | "waits"> {
  const known = [...(await addressesOfAccount(trx, subaccountId)), ...(await addressesOfMembers(trx, subaccountId))];
  const kept = await stillUsed(trx, { masterId, but: subaccountId }, known);
  const gone = [...new Set(known)].filter((address) => !kept.includes(address));
  const inHands = await eraseLetters(trx, masterId, gone);
  await eraseBounces(trx, masterId, gone);
  return inHands > 0 ? "waits" : "done";
}

/** Of an account that the caller has locked. */
export async function eraseRest(trx: Db, erasure: Erasure, clock: Clock): Promise<void> {
  const { subaccountId, purge } = erasure;
  await forgetDomains(trx, subaccountId);
  await forgetDoubts(trx, subaccountId);
  await forgetRules(trx, subaccountId);
  await eraseItems(trx, subaccountId);
  await eraseNotes(trx, subaccountId);
  await eraseReviews(trx, subaccountId);
  await eraseMembers(trx, subaccountId);
  await eraseAccount(trx, subaccountId, purge, clock);
}

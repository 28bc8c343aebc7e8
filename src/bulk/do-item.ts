/**
 * One item of a run, in the transaction that also counts it.
 *
 * Invariant: done in the name of who asked for the run, by the verbs that do it for a single account: the same rules, audit
 * entries and events.
 */
import type { Subaccount } from "../accounts/account.ts";
import { changeSubaccount } from "../accounts/change-subaccount.ts";
import { findSubaccount } from "../accounts/find.ts";
import { findSubaccounts } from "../accounts/find-many.ts";
import { transitionSubaccount } from "../accounts/transition.ts";
import type { InviteDeps } from "../people/invitations.ts";
import { onboardSubaccount } from "../people/owner.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { parseId, type SubaccountId } from "../platform/ids.ts";
import type { ItemError } from "../platform/schema.ts";
import { changeOf, readChange } from "./change.ts";
import { sealCredential } from "./credentials.ts";
import type { Item } from "./items.ts";
import { planRow } from "./plan-row.ts";
import type { Run } from "./runs.ts";

/** For the letters that invite, too. */
export type ItemDeps = InviteDeps;

export type Done = Readonly<{
  outcome: "created" | "changed" | "unchanged" | "skipped" | "failed";
  subaccountId: SubaccountId | null;
  errors?: readonly ItemError[];
  secret?: Buffer | null;
}>;

/** @throws Fault when a rule says no: nothing of it may be kept then */
export async function doItem(trx: Db, run: Run, item: Item, deps: ItemDeps): Promise<Done> {
  if (item.planned === "error" && item.given === null) return { outcome: "failed", subaccountId: item.subaccountId };
  return run.kind === "import" ? importRow(trx, run, item, deps) : changeOne(trx, run, item, deps);
}

async function importRow(trx: Db, run: Run, item: Item, deps: ItemDeps): Promise<Done> {
  const { keyring, clock } = deps;
  const cells = item.given ?? {};
  const current = await currentOf(trx, run, cells, clock);
  const { planned, details, onboarding, errors } = planRow(cells, current);
  const subaccountId = current?.id ?? null;
  if (planned === "error") return { outcome: "failed", subaccountId, errors };
  if (planned === "same") return { outcome: "unchanged", subaccountId };
  const { askedBy, masterId } = run;
  if (current !== undefined) {
    await changeSubaccount(trx, askedBy, current.id, details, {}, clock);
    return { outcome: "changed", subaccountId };
  }
  const { name = "", monthlyLimit = null } = details;
  const input = { ...details, name, monthlyLimit, onboarding, masterId };
  const { subaccount, credential, logInPath } = await onboardSubaccount(trx, askedBy, input, deps);
  const secret = credential === null ? null : sealCredential(keyring, run.id, item.n, { ...credential, logInPath });
  return { outcome: "created", subaccountId: subaccount.id, secret };
}

async function currentOf(
  trx: Db,
  { askedBy, masterId }: Run,
  { id, external_id: externalId }: Readonly<Record<string, string>>,
  clock: Clock,
): Promise<Subaccount | undefined> {
  const own = id ? parseId("sub", id) : undefined;
  const wanted = { ids: own === undefined ? [] : [own], externalIds: id || !externalId ? [] : [externalId] };
  const [found] = await findSubaccounts(trx, askedBy, masterId, wanted, clock);
  return found;
}

async function changeOne(trx: Db, run: Run, item: Item, { clock }: ItemDeps): Promise<Done> {
  const { askedBy } = run;
  const { subaccountId } = item;
  if (item.planned === "error" || subaccountId === null) return { outcome: "failed", subaccountId };
  const current = await findSubaccount(trx, askedBy, subaccountId, clock);
  if (current.version !== item.version) {
    return {
      outcome: "skipped",
      subaccountId,
      errors: [{ column: null, detail: "It was changed since the plan was made." }],
    };
  }
  const { details, action, errors } = changeOf(current, readChange(run.change ?? {}));
  const [wrong] = errors;
  if (wrong !== undefined) throw new Fault("invalid", wrong.detail);
  const changes = Object.keys(details).length > 0;
  const version = current.version;
  if (changes) await changeSubaccount(trx, askedBy, subaccountId, details, { version }, clock);
  if (action !== undefined) {
    const options = changes ? {} : { version };
    await transitionSubaccount(trx, askedBy, subaccountId, action, options, clock);
  }
  return { outcome: changes || action !== undefined ? "changed" : "unchanged", subaccountId };
}

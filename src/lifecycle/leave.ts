/** Whether an account may leave its master now: what the operator looks into is not left behind. */
import type { Subaccount } from "../accounts/account.ts";
import { requireMovable } from "../accounts/move-account.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { hasOpenReview } from "../reviews/erase.ts";
import { isHeld } from "../spool/change.ts";

/** Of an account that the caller has locked: a review is opened under that lock. @throws Fault conflict when it can't leave */
export async function requireLeave(trx: Db, principal: Principal, subaccount: Subaccount): Promise<void> {
  requireMovable(subaccount);
  if (!(await hasOpenReview(trx, subaccount.id)) && !(await isHeld(trx, subaccount.id))) return;
  // A subaccount may not know of it.
  const hidden = principal.kind === "subaccount" && principal.by === undefined;
  throw new Fault(
    "conflict",
    hidden
      ? "The account can't move at present: ask who provides it."
      : "The operator looks into this account: it can't move before the query is closed and its queue released.",
  );
}

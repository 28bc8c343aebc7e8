/**
 * The billing profile that a subaccount's bill stands under: the one that it names, or its master's default.
 *
 * A card is not given to one with a profile in another currency. A plan, a default and a change of profile are not held back, since a
 * card may rule instead; what rules is shown with the profile's currency, so that who gives it sees that both differ.
 */
import type { Subaccount } from "../accounts/account.ts";
import type { Db } from "../platform/database.ts";

export type BilledUnder = Readonly<{ name: string; currency: string }>;

/** Undefined: none, or a label that no profile has as its name. */
export async function readProfile(
  db: Db,
  { masterId, billingProfile }: Pick<Subaccount, "masterId" | "billingProfile">,
): Promise<BilledUnder | undefined> {
  const query = db.selectFrom("billing_profile").select(["name", "currency"]).where("master_id", "=", masterId);
  const which =
    billingProfile === null ? query.where("is_default", "=", true) : query.where("name", "=", billingProfile);
  return which.executeTakeFirst();
}

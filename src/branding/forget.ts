/**
 * A subaccount that leaves its master, or is erased, loses its brand: what its master has chosen for it, and the names that
 * its master has proven.
 */
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { brandMembers } from "./fields.ts";
import { readRows } from "./rows.ts";

/**
 * Part of what moves or erases the account; who may do that is decided there.
 * @param owner with the master that it belongs to until then
 */
export async function forgetBrand(
  trx: Db,
  principal: Principal | Readonly<{ kind: "system" }>,
  { masterId, subaccountId }: Readonly<{ masterId: MasterId; subaccountId: SubaccountId }>,
  clock: Clock,
): Promise<void> {
  const row = (await readRows(trx, { masterId, subaccountId })).find(({ accountId }) => accountId === subaccountId);
  if (row === undefined) return;
  await trx.deleteFrom("brand").where("account_id", "=", subaccountId).execute();
  const change = {
    action: "branding.removed",
    target: formatId("sub", subaccountId),
    before: brandMembers(row),
    after: null,
  };
  await record(trx, { principal, ...change, masterId, subaccountId }, clock);
}

/** Many subaccounts of one master at once, by their ids or by those that the master gave them. */
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { Subaccount } from "./account.ts";
import { findMaster, selectSubaccounts, subaccountOf } from "./find.ts";
import type { Principal } from "./principal.ts";

export type Wanted = Readonly<{ ids: readonly SubaccountId[]; externalIds: readonly string[] }>;

/** Those that there are, in no order; none of another master's. @throws Fault not-found: the master, for a subaccount too */
export async function findSubaccounts(
  db: Db,
  principal: Principal,
  masterId: MasterId,
  { ids, externalIds }: Wanted,
  clock: Clock,
): Promise<Subaccount[]> {
  const { id } = await findMaster(db, principal, masterId, clock);
  const named = externalIds.filter((externalId) => !externalId.includes("\0"));
  if (ids.length === 0 && named.length === 0) return [];
  const rows = await selectSubaccounts(db)
    .where("s.master_id", "=", id)
    .where((eb) =>
      eb.or([
        ...(ids.length > 0 ? [eb("s.id", "in", [...ids])] : []),
        ...(named.length > 0 ? [eb("s.external_id", "in", named)] : []),
      ]),
    )
    .execute();
  return rows.map((row) => subaccountOf(row, clock.now()));
}

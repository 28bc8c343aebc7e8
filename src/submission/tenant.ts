/** Who a log line is about, as people and the API name it. */
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";

export type Tenant = Readonly<{ master_id: string; subaccount_id: string }>;

const MAX_KNOWN = 10_000;
const known = new Map<SubaccountId, Tenant>();

export function tenant(account: Readonly<{ masterId: MasterId; subaccountId: SubaccountId }>): Tenant {
  const found = known.get(account.subaccountId);
  if (found !== undefined) return found;
  if (known.size >= MAX_KNOWN) known.clear();
  const made = { master_id: formatId("mas", account.masterId), subaccount_id: formatId("sub", account.subaccountId) };
  known.set(account.subaccountId, made);
  return made;
}

/**
 * Room for fresh mail in memory. Decided before the insert, so that what does not fit is stored as due for anybody.
 *
 * Invariant: what is held never passes the bound, nor a subaccount its share of it.
 */
import type { SubaccountId } from "../platform/ids.ts";

export type Handoff = Readonly<{
  /** Takes room, if there is some. It is given back by `free`. */
  offer(sizeBytes: number, subaccountId: SubaccountId): boolean;
  free(sizeBytes: number, subaccountId: SubaccountId): void;
  heldBytes(): number;
}>;

export type HandoffLimits = Readonly<{ totalBytes: number; subaccountBytes: number }>;

/** What a message costs in memory besides its bytes. */
const OVERHEAD_BYTES = 2048;

export function createHandoff({ totalBytes, subaccountBytes }: HandoffLimits): Handoff {
  const bySubaccount = new Map<SubaccountId, number>();
  let total = 0;
  return {
    offer(sizeBytes, subaccountId) {
      const cost = sizeBytes + OVERHEAD_BYTES;
      const own = (bySubaccount.get(subaccountId) ?? 0) + cost;
      if (total + cost > totalBytes || own > subaccountBytes) return false;
      total += cost;
      bySubaccount.set(subaccountId, own);
      return true;
    },
    free(sizeBytes, subaccountId) {
      const cost = sizeBytes + OVERHEAD_BYTES;
      const own = (bySubaccount.get(subaccountId) ?? 0) - cost;
      total -= cost;
      if (own > 0) bySubaccount.set(subaccountId, own);
      else bySubaccount.delete(subaccountId);
    },
    heldBytes: () => total,
  };
}

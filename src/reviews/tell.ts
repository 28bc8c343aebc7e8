/** What happened to a review, as audit entry and event. Where the policy leaves the subaccount out, it sees neither. */
import type { Principal } from "../accounts/principal.ts";
import { type Members, record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { formatId } from "../platform/ids.ts";
import type { Review } from "./review.ts";

export async function tell(
  trx: Db,
  principal: Principal,
  what: "opened" | "answered" | "closed",
  before: Review | null,
  after: Review,
  clock: Clock,
): Promise<void> {
  const { masterId } = after;
  const subaccountId = after.told === "master" ? null : after.subaccountId;
  const target = formatId("rev", after.id);
  const members = { before: before && membersOf(before), after: membersOf(after) };
  await record(trx, { principal, action: `review.${what}`, target, ...members, masterId, subaccountId }, clock);
  const data = {
    review_id: target,
    subaccount_id: formatId("sub", after.subaccountId),
    state: after.state,
    hold: after.hold,
    decision: after.decision,
  };
  await emit(trx, { type: `review.${what}`, masterId, subaccountId, at: clock.now(), data }, clock);
}

function membersOf({ subaccountId, question, hold, state, answer, decision, note }: Review): Members {
  return { subaccount_id: formatId("sub", subaccountId), question, hold, state, answer, decision, note };
}

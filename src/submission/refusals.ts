/** What is told about a refusal that counts: a log line, a metric, and the account's own list of refusals. */
import type { SendingAccount } from "../accounts/authenticate.ts";

import { replyText } from "../mail/reply.ts";
import { type Period, periodAt } from "../metering/period.ts";
import type { Refusal as RefusalRecord } from "../metering/refusals.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Refusal } from "./session.ts";
import { tenant } from "./tenant.ts";

export type RefusalDeps = Readonly<{
  refused: (refusal: RefusalRecord) => void;
  log: Log;
  metrics: Pick<Metrics, "refused">;
  clock: Clock;
}>;

/** The message that was refused, as far as it was known. */
export type Refused = Readonly<{
  account: SendingAccount;
  period?: Period;
  sender: string;
  recipient?: string | undefined;
  units: number;
  clientAddress: string;
}>;

export function noteRefusal(refusal: Refusal, about: Refused, deps: RefusalDeps): void {
  const { reply, reason } = refusal;
  if (reason === undefined) return;
  const { account, sender, recipient, units, clientAddress } = about;
  const detail = `${reply.code} ${replyText(reply)}`;
  deps.metrics.refused.inc({ reason });
  deps.log.info({ event: "message.refused", reason, ...tenant(account), units, reply: detail, client: clientAddress });
  const record: RefusalRecord = {
    masterId: account.masterId,
    subaccountId: account.subaccountId,
    period: about.period ?? periodAt(account.calendar, deps.clock.now()),
    reason,
    units,
    sample: { from: sender, clientAddress, detail, ...(recipient === undefined ? {} : { recipient }) },
  };
  try {
    deps.refused(record);
  } catch (error) {
    deps.log.error({ event: "refusals.failed", err: error }, "a refusal was not counted");
  }
}

/** What is counted and logged of an outcome that was written: one line per message and attempt. */
import { formatId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Result } from "../spool/message.ts";

export type DeliveryMetrics = Pick<
  Metrics,
  | "delivered"
  | "deferred"
  | "bounced"
  | "indeterminate"
  | "leasesLost"
  | "deliverySeconds"
  | "deliverySlots"
  | "routeBreakerOpen"
>;

export function noteResult({ task, recipients, dueAt }: Result, metrics: DeliveryMetrics, log: Log): void {
  const count = { delivered: 0, deferred: 0, bounced: 0 };
  for (const { state } of recipients) count[state] += 1;
  if (count.delivered > 0) metrics.delivered.inc(count.delivered);
  if (count.deferred > 0) metrics.deferred.inc(count.deferred);
  if (count.bounced > 0) metrics.bounced.inc(count.bounced);
  if (recipients.some(({ attempt }) => attempt.indeterminate)) metrics.indeterminate.inc();
  if (!log.isLevelEnabled("info")) return;
  const worst =
    recipients.find(({ state }) => state === "bounced") ?? recipients.find(({ state }) => state === "deferred");
  const shown = worst ?? recipients[0];
  if (shown === undefined) return;
  const { route, remote, code, enhanced, reply, indeterminate } = shown.attempt;
  log.info({
    event: `message.${shown.state}`,
    message_id: formatId("msg", task.id),
    subaccount_id: formatId("sub", task.subaccountId),
    master_id: formatId("mas", task.masterId),
    kind: task.kind,
    attempt: task.attempt,
    ...count,
    route,
    remote,
    code,
    enhanced,
    reply,
    ...(indeterminate && { indeterminate }),
    ...(dueAt !== null && { due_at: dueAt.toISOString() }),
  });
}

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
  const [first] = recipients;
  if (first === undefined) return;
  const count = { delivered: 0, deferred: 0, bounced: 0 };
  let shown = first;
  let doubtful = false;
  for (const recipient of recipients) {
    count[recipient.state] += 1;
    if (gravity[recipient.state] > gravity[shown.state]) shown = recipient;
    if (recipient.attempt.indeterminate) doubtful = true;
  }
  const { delivered, deferred, bounced } = count;
  if (delivered > 0) metrics.delivered.inc(delivered);
  if (deferred > 0) metrics.deferred.inc(deferred);
  if (bounced > 0) metrics.bounced.inc(bounced);
  if (doubtful) metrics.indeterminate.inc();
  if (!log.isLevelEnabled("info")) return;
  const { route, remote, code, enhanced, reply, indeterminate } = shown.attempt;
  log.info({
    event: noted[shown.state],
    message_id: formatId("msg", task.id),
    subaccount_id: formatId("sub", task.subaccountId),
    master_id: formatId("mas", task.masterId),
    kind: task.kind,
    attempt: task.attempt,
    delivered,
    deferred,
    bounced,
    route,
    remote,
    code,
    enhanced,
    reply,
    indeterminate,
    due_at: dueAt?.toISOString(),
  });
}

const noted = { delivered: "message.delivered", deferred: "message.deferred", bounced: "message.bounced" };
/** The line shows the worst that happened. */
const gravity = { delivered: 0, deferred: 1, bounced: 2 };

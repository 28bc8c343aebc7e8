/** What the program counts. No label names a tenant, an address or an id. Durations are in seconds. */
import { Counter, Gauge, Registry } from "@prometheus-io/client";
import { Distribution } from "./distribution.ts";

export type Metrics = ReturnType<typeof createMetrics>;

const latency = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const small = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const counter = <Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter<Label>({ name: `postmeter_${name}`, help, labelNames: [...labelNames], registers });
  const gauge = (name: string, help: string, aggregator: "sum" | "max" = "sum") =>
    new Gauge({ name: `postmeter_${name}`, help, aggregator, registers });
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Distribution(`postmeter_${name}`, help, buckets, registry);
  return {
    registry,
    ...submission(counter, gauge),
    ...quota(counter, gauge, histogram),
    ...delivery(counter, gauge, histogram),
    commitSeconds: histogram("commit_seconds", "Time of the call that stores and charges a batch.", latency),
    batchMessages: histogram("batch_messages", "Messages stored by one call.", small),
    oldestSnapshotSeconds: gauge("oldest_snapshot_seconds", "Age of the oldest transaction of the database."),
    apiRequests: counter("api_requests_total", "HTTP requests by status class.", ["status"]),
    jobs: counter("jobs_total", "Background jobs by name and result (done, failed).", ["job", "result"]),
  };
}

type MakeCounter = <Label extends string = never>(
  name: string,
  help: string,
  labels?: readonly Label[],
) => Counter<Label>;
/** `aggregator`: how the values of several processes become one. */
type MakeGauge = (name: string, help: string, aggregator?: "sum" | "max") => Gauge;
type MakeHistogram = (name: string, help: string, buckets: number[]) => Distribution;

function submission(counter: MakeCounter, gauge: MakeGauge) {
  return {
    accepted: counter("accepted_messages_total", "Messages answered with 250."),
    acceptedUnits: counter("accepted_units_total", "Recipients charged."),
    acceptedBytes: counter("accepted_bytes_total", "Bytes of accepted messages."),
    refused: counter("refused_messages_total", "Messages refused, by reason.", ["reason"]),
    inDoubt: counter("in_doubt_messages_total", "Accepted messages whose 250 the client can't have read."),
    repeated: counter("repeated_messages_total", "Retries of those, answered with the first one's id."),
    submissionReplies: counter("submission_replies_total", "Replies of the submission server by code.", ["code"]),
    connections: gauge("submission_connections", "Open connections of clients."),
    authFailures: counter("auth_failures_total", "AUTH attempts that failed."),
  };
}

function quota(counter: MakeCounter, gauge: MakeGauge, histogram: MakeHistogram) {
  return {
    gateSeconds: histogram("gate_seconds", "Time of one quota decision at the gate.", latency),
    gateCold: counter("gate_cold_total", "Decisions that found no counter and filled it."),
    gateConfirmed: counter("gate_confirmed_total", "Refusals of the gate by what the rows said.", ["result"]),
    gateBreakerOpen: gauge("gate_breaker_open", "1 while the gate does without Redis.", "max"),
    drift: gauge("quota_drift_units", "Greatest lasting difference between Redis and the usage rows."),
  };
}

function delivery(counter: MakeCounter, gauge: MakeGauge, histogram: MakeHistogram) {
  return {
    delivered: counter("delivered_recipients_total", "Recipients that a server took over."),
    deferred: counter("deferred_recipients_total", "Attempts that will be repeated, per recipient."),
    bounced: counter("bounced_recipients_total", "Recipients given up."),
    indeterminate: counter("indeterminate_attempts_total", "Messages sent whose answer was lost: may arrive twice."),
    leasesLost: counter("leases_lost_total", "Messages dropped by their holder since the lease ran out."),
    deliverySeconds: histogram("delivery_seconds", "Time of one attempt.", latency),
    queueDepth: gauge("queue_messages", "Messages with work left."),
    queueOldestSeconds: gauge("queue_oldest_seconds", "Age of the oldest message with work left."),
    deliverySlots: gauge("delivery_slots_busy", "Attempts under way."),
    routeBreakerOpen: gauge("route_breakers_open", "Routes that are left alone for a while.", "max"),
  };
}

import { expect, test } from "vitest";
import { createMetrics } from "../../src/platform/metrics.ts";
import { keepCounts, sumUp, takeSnapshot } from "../../src/platform/metrics-sum.ts";

test("every metric carries our prefix and a help text, and no label can name a tenant", async () => {
  const { registry } = createMetrics();
  const metrics = registry.getMetricsAsArray() as unknown as { name: string; help: string; labelNames: string[] }[];
  expect(metrics.length).toBeGreaterThan(20);
  for (const { name, help, labelNames } of metrics) {
    expect(name).toMatch(/^postmeter_[a-z_]+$/);
    expect(help).toMatch(/\.$/);
    for (const label of labelNames) expect(["reason", "code", "result", "status", "job"]).toContain(label);
  }
});

test("a counter ends in _total and a duration in _seconds", async () => {
  const text = await createMetrics().registry.metrics();
  const types = [...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map((match) => ({ name: match[1]!, type: match[2]! }));
  expect(types.length).toBeGreaterThan(20);
  for (const { name, type } of types) expect(name.endsWith("_total")).toBe(type === "counter");
});

test("two sets of metrics in one process don't mix", async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.accepted.inc();
  expect(await one.registry.metrics()).toContain("postmeter_accepted_messages_total 1");
  expect(await other.registry.metrics()).toContain("postmeter_accepted_messages_total 0");
});

test("the counts of several processes are one sum, which never falls when one of them ends", async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.accepted.inc(2);
  other.accepted.inc(3);
  one.refused.inc({ reason: "sender" });
  for (const metrics of [one, other]) {
    metrics.connections.set(4);
    metrics.gateBreakerOpen.set(1);
    metrics.commitSeconds.observe(0.002);
  }
  const taken = await Promise.all([takeSnapshot(one.registry), takeSnapshot(other.registry)]);
  const sent = JSON.parse(JSON.stringify(taken));
  const both = await sumUp(sent);
  for (const line of ["accepted_messages_total 5", "submission_connections 8", "gate_breaker_open 1"]) {
    expect(both).toContain(`postmeter_${line}\n`);
  }
  expect(both).toContain('postmeter_refused_messages_total{reason="sender"} 1\n');
  expect(both).toContain('postmeter_commit_seconds_bucket{le="0.0025"} 2\n');
  const left = await sumUp([await keepCounts([sent[0]]), sent[1]]);
  expect(left).toContain("postmeter_accepted_messages_total 5\n");
  expect(left).toContain("postmeter_submission_connections 4\n");
  expect(left).toContain("postmeter_commit_seconds_count 2\n");
});

import { expect, test } from "vitest";
import { createMetrics } from "../../src/platform/metrics.ts";

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

import { Histogram, Registry } from "@prometheus-io/client";
import { expect, test } from "vitest";
import { Distribution } from "../../src/platform/distribution.ts";

const bounds = [0.001, 0.25, 1, 10];
const values = [0, 0.001, 0.0011, 0.25, 3, 10, 10.5, 1e9];

test("a distribution says the same as the library's histogram, as text and as values, before and after it was added to", async () => {
  const registers = [new Registry(), new Registry()] as const;
  const ours = new Distribution("d_seconds", "Help.", bounds, registers[0]);
  const theirs = new Histogram({ name: "d_seconds", help: "Help.", buckets: bounds, registers: [registers[1]] });
  for (const value of [undefined, ...values]) {
    if (value !== undefined) ours.observe(value);
    if (value !== undefined) theirs.observe(value);
    const [own, library] = await Promise.all(registers.map((registry) => registry.metrics()));
    expect(own).toBe(library);
  }
  const json = await Promise.all(
    registers.map(async (registry) => JSON.parse(JSON.stringify(await registry.getMetricsAsJSON()))),
  );
  const plain = json[1][0].values.map(({ value, labels, metricName }: Record<string, unknown>) => ({
    value,
    labels,
    metricName,
  }));
  expect(json[0][0].values).toEqual(plain);
});

/** The bench's page and the lines behind it: what each contender is compared with, and what a reader who can't see the plots is told. */
import { describe, expect, test } from "vitest";
import type { Tls } from "./connection.ts";
import { latencyPlot } from "./latency-plot.ts";
import { renderPage } from "./page.ts";
import type { Round } from "./round.ts";
import { latencyOf, levels } from "./statistics.ts";
import { summarise } from "./summary.ts";
import { renderTable } from "./table.ts";
import type { TargetName } from "./target.ts";

const scenario = { sizeBytes: 4096, sessions: 20, keep: true };
const latency = latencyOf([Float32Array.from({ length: 1000 }, (_, n) => n + 1)]);

function played(target: TargetName, tls: Tls, deliveredPerSecond: number): Round {
  return {
    target,
    tls,
    scenario,
    run: 9,
    accepted: 100,
    arrived: 100,
    acceptedPerSecond: deliveredPerSecond,
    deliveredPerSecond,
    dot: latency,
    mail: latency,
    cpuPerThousand: { [target]: 0.5 },
    peaks: [{ name: "node", processes: 1, peakBytes: 200 * 2 ** 20 }],
    problems: [],
  };
}

const rounds = [
  played("relay", "off", 1000),
  played("relay", "starttls", 800),
  played("relay", "implicit", 500),
  played("postfix-tmpfs", "off", 250),
  played("relay", "off", 1200),
];
const lines = summarise(rounds);
const report = { machine: [["disk", "a < b"]] as const, targets: [], absent: [], lines, rounds, problems: [] };

describe("lines", () => {
  test("each way into the relay is a line of its own, compared with the first", () => {
    expect(lines.map(({ target, tls, ratio }) => [target, tls, ratio])).toEqual([
      ["relay", "off", null],
      ["relay", "starttls", 1100 / 800],
      ["relay", "implicit", 2.2],
      ["postfix-tmpfs", "off", 4.4],
    ]);
    expect(renderTable(report)).toMatch(/^relay starttls .* 1\.4 x/m);
  });

  test("a curve keeps each per cent, and each tenth of the last one", () => {
    expect(levels.slice(97)).toEqual([97, 98, 99, 99.1, 99.2, 99.3, 99.4, 99.5, 99.6, 99.7, 99.8, 99.9, 100]);
    expect([50, 99, 99.9, 100].map((level) => lines[0]!.mail.curve[levels.indexOf(level)])).toEqual([
      500, 990, 999, 1000,
    ]);
  });
});

describe("the page", () => {
  const page = renderPage(report);
  const all = (pattern: RegExp): string[] => [...page.matchAll(pattern)].map(([, found]) => found!);

  test("each plot has a name and a text of its own", () => {
    const ids = all(/ id="([^"]+)"/g);
    const named = all(/aria-labelledby="([^"]+)"/g).flatMap((pair) => pair.split(" "));
    expect(named).toHaveLength(8);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.toSorted()).toEqual(named.toSorted());
    expect(all(/<desc[^>]*>([^<]*)</g)).toContain(
      ["relay", "relay starttls", "relay implicit", "postfix-tmpfs"]
        .map((name) => `${name}: half within 500 ms, 99 % within 990 ms`)
        .join("; "),
    );
  });

  test("text of others is no markup", () => {
    expect(page).toContain("a &#60; b");
  });

  test("a target that took nothing has no curve, and spoils none", () => {
    const line = { name: "relay", colour: "c0", dash: "off", latency: latencyOf([]) };
    expect(latencyPlot("nothing", [line])).toBe("");
    expect(latencyPlot("one of two", [line, { ...line, name: "sink", latency }])).not.toMatch(/NaN|Infinity/);
  });

  test("curves rise from left to right", () => {
    const [, path = ""] = /class="curve[^"]*" d="M([^"]+)"/.exec(page) ?? [];
    const points = path.split("L").map((point) => point.split(" ").map(Number));
    expect(points).toHaveLength(levels.length - 1);
    expect(points.every(([x, y], n) => n === 0 || (x! >= points[n - 1]![0]! && y! <= points[n - 1]![1]!))).toBe(true);
  });
});

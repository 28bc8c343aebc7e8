/** `npm run soak`, in seconds: the whole way from the load to the page; and what it would say if something grew. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { judge, type Sample } from "./judge.ts";
import { renderPage } from "./page.ts";
import { ownPostgres } from "./place.ts";
import { type Outcome, soak } from "./soak.ts";

const postgres = ownPostgres();
const flat: Sample = { seconds: 0, rssMb: 200, descriptors: 70, queue: 5, accepted: 100, p50Ms: 8, p99Ms: 40 };
const idle = { before: 50, after: 60 };

function run(change: (part: number) => Partial<Sample>): Sample[] {
  return Array.from({ length: 100 }, (_, n) => ({ ...flat, seconds: n * 5, ...change(n / 100) }));
}

test("what is flat is well: noise, one peak and a warm-up are no growth", () => {
  const noisy = run((part) => ({
    rssMb: part < 0.2 ? 90 + part * 500 : 200 + 30 * Math.sin(part * 100) + (part === 0.9 ? 500 : 0),
    queue: part === 0.5 ? Number.NaN : 5,
  }));
  expect(judge(noisy, idle)).toEqual([]);
});

test.each([
  ["memory that grows", { rssMb: (part: number) => 150 + part * 150 }, /^memory grew from 206 MB .* to 281 MB$/],
  ["descriptors that grow", { descriptors: (part: number) => 60 + Math.round(part * 60) }, /^open descriptors grew/],
  ["a load that was none", { accepted: () => 0 }, /^nothing was accepted$/],
])("control: %s is a violation", (_, change: Partial<Record<keyof Sample, (part: number) => number>>, said) => {
  const samples = run((part) => Object.fromEntries(Object.entries(change).map(([name, at]) => [name, at(part)])));
  expect(judge(samples, idle)).toEqual([expect.stringMatching(said)]);
});

test("control: descriptors that stay open after the load are a violation", () => {
  expect(
    judge(
      run(() => ({})),
      { before: 50, after: 90 },
    ),
  ).toEqual(["90 descriptors stay open after the load, 50 were before it"]);
});

test("the page shows violations, faults and gaps, and nothing that a name could inject", () => {
  const faults = [{ seconds: 100, name: "<b>Redis</b> is killed" }];
  const samples = run((part) => (part > 0.4 && part < 0.5 ? { queue: Number.NaN } : {}));
  const outcome: Outcome = { violations: ["memory grew"], samples, faults, figures: { accepted: 12_345 } };
  const page = renderPage(outcome, { seed: "1" });
  expect(page).toContain('<p class="bad">memory grew</p>');
  expect(page).toContain("<dt>accepted</dt><dd>12,345</dd>");
  expect(page.match(/class="fault"/g)).toHaveLength(4);
  expect(page).not.toContain("<b>");
  expect(page).not.toContain("NaN");
  expect(page.match(/curve queue" d="(M[^M]+){2}"/)).not.toBeNull();
});

test("a node that lives through seconds of load and faults shows no growth, and the books are right", async ({
  skip,
}) => {
  if (!existsSync("/proc/self/fd")) return skip("the figures come from /proc");
  const { violations, samples, faults, figures } = await soak({
    seconds: 6,
    seed: 11,
    server: postgres.server(),
    databaseUrl: await postgres.freshDatabase("soak"),
    sampleMs: 500,
    faultMs: 3_000,
    tell: () => {},
  });
  expect(faults.length).toBeGreaterThan(0);
  expect(samples.length).toBeGreaterThan(5);
  expect(figures.accepted).toBeGreaterThan(0);
  // A node is still warming up after seconds: its growth is judged in the long run.
  expect(violations.filter((line) => !/^(memory|open descriptors) grew/.test(line))).toEqual([]);
}, 180_000);

test("the program tells what it can do, and what it was asked wrongly", () => {
  const ask = (...args: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], { encoding: "utf8" });
  expect(ask("--help")).toMatchObject({ status: 0, stdout: expect.stringContaining("--minutes 30") });
  expect(ask("--minutes", "soon")).toMatchObject({ status: 2, stderr: expect.stringContaining("a number above 0") });
  expect(ask("--hours", "2").status).toBe(2);
});

/** The long run behind `npm run soak` (main.ts). */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname } from "node:path";
import { expect, inject, test } from "vitest";
import { trendOf } from "./judge.ts";
import { renderPage } from "./page.ts";
import { ownPostgres } from "./place.ts";
import { soak } from "./soak.ts";

const postgres = ownPostgres();

test("under a steady load with random faults nothing grows, and the books are right", async () => {
  const minutes = inject("minutes");
  const seed = inject("seed");
  const outcome = await soak({
    seconds: minutes * 60,
    seed,
    server: postgres.server(),
    databaseUrl: await postgres.freshDatabase("soak"),
    sampleMs: 5_000,
    faultMs: 30_000,
    tell: (line) => console.log(line),
  });
  const { samples, figures, violations } = outcome;
  const place = inject("page");
  mkdirSync(dirname(place), { recursive: true });
  const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}`;
  writeFileSync(place, renderPage(outcome, { machine, minutes: String(minutes), seed: String(seed) }));
  console.log(JSON.stringify({ ...figures, memory: trendOf(samples, (s) => s.rssMb) }));
  console.log(
    JSON.stringify({ descriptors: trendOf(samples, (s) => s.descriptors), queue: trendOf(samples, (s) => s.queue) }),
  );
  console.log(`the plots are in ${place}`);
  expect(violations, `seed ${seed}`).toEqual([]);
}, 86_400_000);

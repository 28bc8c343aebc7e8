/** After a run of the whole program no secret stands in what it has written, stored, answered or sent. */
import { expect, test, vi } from "vitest";
import { findSecrets, type Place, runWithSecrets } from "../faults/secrets.ts";
import { fewStarts } from "../faults/secrets-misuse.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

test("no password, key or AUTH line is kept or told, wherever it was put, and one that is planted anywhere is found", async () => {
  const run = await runWithSecrets(fewStarts);
  expect(findSecrets(run)).toEqual([]);
  expect(run.upstreamLogIns).toBeGreaterThan(2);
  const line = Buffer.from(`\0pm-user\0${run.secrets.at(-1)}`).toString("base64");
  for (const [place, text] of Object.entries(run.places) as [Place, string][]) {
    expect(text.length, `${place} was read`).toBeGreaterThan(500);
    const planted = { ...run, places: { ...run.places, [place]: `${text}\nAUTH PLAIN ${line}` } };
    expect(findSecrets(planted), place).toEqual([expect.stringMatching(`^${place}: `)]);
  }
});

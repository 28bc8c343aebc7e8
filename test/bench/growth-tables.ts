/** A hundred thousand subaccounts as a table, and a tenth as many read from one: the relay's memory stays as it is, whatever the table's size. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Figure, Found } from "./growth-figures.ts";
import { prepare, seedSubaccounts } from "./growth-seed.ts";
import { bookProblems, type Ground, type Stage } from "./growth-stage.ts";
import { readPeaks, resetPeaks } from "./processes.ts";

export async function tablesGrowth({ options, say, open }: Ground): Promise<Found> {
  const count = Math.max(...options.subaccounts);
  await using stage = await open();
  await prepare(stage.pool);
  await seedSubaccounts(stage.pool, stage.masterId, 1, count, say);
  const figures: Figure[] = [];
  say("download");
  let table = "";
  figures.push(
    ...(await measured(stage, `download of ${count.toLocaleString("en-US")}`, async () => {
      table = await ask(stage, "/subaccounts", { headers: { accept: "text/csv" } });
    })),
  );
  const lines = table.split("\n").filter((line) => line !== "").length - 1;
  const problems = lines < count ? [`the table has ${lines} rows of ${count} subaccounts`] : [];
  const imported = Math.ceil(count / 10);
  const rows = Array.from({ length: imported }, (_, n) => `import-${n},Imported ${n},${1000 + n}`);
  const body = `external_id,name,monthly_limit\n${rows.join("\n")}\n`;
  say("import, previewed");
  figures.push(
    ...(await measured(
      stage,
      `preview of an import of ${imported.toLocaleString("en-US")}`,
      async () => void (await send(stage, body, true)),
    )),
  );
  say("import");
  figures.push(
    ...(await measured(stage, `import of ${imported.toLocaleString("en-US")}`, async () => {
      const { id } = await send(stage, body, false);
      const created = await finished(stage, id, (done) => say(`import: ${done} of ${imported}`));
      if (created !== imported) problems.push(`${created} of ${imported} were created`);
    })),
  );
  return { figures, curves: [], problems: [...problems, ...(await bookProblems("tables", stage))] };
}

/** How long it took, and how far the relay's memory went meanwhile. */
export async function measured(stage: Stage, what: string, work: () => Promise<void>): Promise<Figure[]> {
  const relay = stage.relay.roots.filter(({ name }) => name === "relay");
  resetPeaks(relay);
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  const peakBytes = Math.max(...readPeaks(relay).map((peak) => peak.peakBytes));
  return [
    { what: `${what}: time`, seen: seconds, unit: "s", goal: null },
    { what: `${what}: the relay's memory`, seen: peakBytes / 2 ** 20, unit: "MiB", goal: { atMost: 400 } },
  ];
}

async function ask({ relay }: Stage, path: string, init: RequestInit): Promise<string> {
  const headers = { ...init.headers, authorization: `Bearer ${relay.accounts.masterKey}` };
  const response = await fetch(relay.api.url + path, { ...init, headers });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text.slice(0, 300)}`);
  return text;
}

type Run = Readonly<{ id: string; state: string; done: number; created: number }>;

async function send(stage: Stage, body: string, preview: boolean): Promise<Run> {
  const headers = { "content-type": "text/csv" };
  const answer = await ask(stage, `/subaccounts/import?dry_run=${preview}`, { method: "POST", headers, body });
  return JSON.parse(answer) as Run;
}

/** How many it created. */
async function finished(stage: Stage, id: string, say: (done: number) => void): Promise<number> {
  for (;;) {
    const { state, done, created } = JSON.parse(await ask(stage, `/imports/${id}`, {})) as Run;
    if (state !== "running" && state !== "receiving") return created;
    say(done);
    await sleep(500);
  }
}

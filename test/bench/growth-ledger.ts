/** A ledger of fifty million entries in one running month: what a master asks about it every day, and its statement. */
import { sumDays } from "../../src/metering/sum-days.ts";
import { openDatabase } from "../../src/platform/database.ts";
import { formatId, type SubaccountId } from "../../src/platform/ids.ts";
import { createCaller, p99Of } from "./growth-calls.ts";
import type { Figure, Found } from "./growth-figures.ts";
import { prepare, seedSubaccounts } from "./growth-seed.ts";
import { settleDown } from "./growth-seed-backlog.ts";
import { seedLedger } from "./growth-seed-ledger.ts";
import { bookProblems, type Ground, oneRound, type Stage } from "./growth-stage.ts";
import { measured } from "./growth-tables.ts";

/** Above this the verification of the whole ledger would take longer than all the rest. */
const verifiable = 2_000_000;

export async function ledgerGrowth(ground: Ground): Promise<Found> {
  const { options, say } = ground;
  const { ledger: entries, customers, calls } = options;
  await using stage = await ground.open();
  await prepare(stage.pool);
  await seedSubaccounts(stage.pool, stage.masterId, 1, customers, say);
  await seedLedger(stage.pool, { masterId: stage.masterId, customers, entries }, say);
  const figures: Figure[] = await timeSums(stage, say);
  await settleDown(stage.pool, say);
  const ids = await someOf(stage);
  using master = createCaller(stage.relay.api.url, stage.relay.accounts.masterKey);
  using operator = createCaller(stage.relay.api.url, stage.relay.api.operatorKey);
  const ask = async (caller: typeof master, what: string, path: (n: number) => string, times = calls) => {
    say(what);
    figures.push(await p99Of(caller, what, times, path));
  };
  const one = (n: number): string => ids[n % ids.length]!;
  await ask(master, "GET /usage", () => "/usage");
  await ask(master, "GET /usage/subaccounts", () => "/usage/subaccounts");
  await ask(master, "GET /subaccounts", () => "/subaccounts");
  await ask(master, "GET /subaccounts?sort=-used", () => "/subaccounts?sort=-used");
  await ask(master, "GET /subaccounts/{id}", (n) => `/subaccounts/${one(n)}`);
  await ask(master, "GET /subaccounts/{id}/usage", (n) => `/subaccounts/${one(n)}/usage`);
  await ask(master, "GET /subaccounts/{id}/usage/daily", (n) => `/subaccounts/${one(n)}/usage/daily`);
  await ask(master, "GET /statements", () => "/statements");
  await ask(operator, "GET /masters", () => "/masters");
  const statement = await timeStatement(stage, say, entries);
  figures.push(statement.figure);
  const exported = await timeExport(stage, say);
  figures.push(...exported.figures);
  say("a round of mail");
  const round = await oneRound(ground, { name: "ledger", stage });
  figures.push({ what: "delivered beside it", seen: round.deliveredPerSecond, unit: "/s", goal: null });
  const books = entries <= verifiable ? await bookProblems("ledger", stage) : [];
  return { figures, curves: [], problems: [...statement.problems, ...exported.problems, ...round.problems, ...books] };
}

/** The days that are old enough, as the job sums them after an upgrade, and what one of them takes; early in a month there are none. */
async function timeSums({ relay }: Stage, say: (text: string) => void): Promise<Figure[]> {
  say("sums of the days");
  await using database = openDatabase({ url: relay.databaseUrl, applicationName: "bench" });
  const started = performance.now();
  const days = (await sumDays(database.db, { budgetMs: Number.POSITIVE_INFINITY })).filter(
    ({ entries }) => entries > 0,
  );
  const seconds = (performance.now() - started) / 1000;
  await database.pool.query("vacuum (analyze) usage_day, summed_day");
  if (days.length === 0) return [];
  const entries = Math.round(days.reduce((sum, day) => sum + day.entries, 0) / days.length);
  const what = `summing a day of ${entries.toLocaleString("en-US")} entries`;
  return [{ what, seen: seconds / days.length, unit: "s", goal: null, note: `${days.length} days` }];
}

async function someOf({ pool }: Stage): Promise<string[]> {
  const { rows } = await pool.query<{ id: SubaccountId }>(
    "select subaccount_id as id from credential where username like 'pm-seeded-%' order by md5(username) limit 200",
  );
  return rows.map(({ id }) => formatId("sub", id));
}

/** The running month as a preview: what closing it reads, and as many lines. */
async function timeStatement(stage: Stage, say: (text: string) => void, entries: number) {
  say("the month's statement");
  using patient = createCaller(stage.relay.api.url, stage.relay.accounts.masterKey);
  const { ms, body } = await patient.get("/statements/current");
  const { lines, messages } = JSON.parse(body) as { lines: unknown[]; messages: number };
  const figure: Figure = {
    what: `statement of ${lines.length.toLocaleString("en-US")} lines over ${messages.toLocaleString("en-US")} entries`,
    seen: ms / 1000,
    unit: "s",
    goal: { atMost: 10 },
  };
  return { figure, problems: messages === entries ? [] : [`the statement counts ${messages} of ${entries} entries`] };
}

/** All final rows as a table, and page by page as a billing system asks for them; each of them as many as the kept sums have. */
async function timeExport(stage: Stage, say: (text: string) => void): Promise<Pick<Found, "figures" | "problems">> {
  const { rows } = await stage.pool.query<{ n: number }>("select count(*)::int as n from usage_day");
  const many = rows[0]!.n;
  const shown = `usage export of ${many.toLocaleString("en-US")} rows`;
  let [table, paged] = [0, 0];
  say("usage export as a table");
  const asTable = await measured(stage, `${shown} as CSV`, async () => {
    table = await countLines(stage, "/usage/export");
  });
  say("usage export, page by page");
  using caller = createCaller(stage.relay.api.url, stage.relay.accounts.masterKey);
  const asPages = await measured(stage, `${shown} in pages`, async () => {
    for (let after = ""; ; ) {
      const { data, has_more, next } = JSON.parse((await caller.get(`/usage/export${after}`)).body);
      paged += data.length;
      if (!has_more) return;
      after = `?after=${encodeURIComponent(next)}`;
    }
  });
  const problems =
    table === many && paged === many ? [] : [`${many} rows are kept; ${table} in the table, ${paged} in pages`];
  return { figures: [...asTable, ...asPages], problems };
}

/** Without its header; read as it comes, so that nobody holds the whole. */
async function countLines({ relay }: Stage, path: string): Promise<number> {
  const headers = { accept: "text/csv", authorization: `Bearer ${relay.accounts.masterKey}` };
  const response = await fetch(relay.api.url + path, { headers });
  if (!response.ok || response.body === null) throw new Error(`${path} answered ${response.status}`);
  let lines = -1;
  for await (const chunk of response.body) for (const byte of chunk) if (byte === 10) lines++;
  return lines;
}

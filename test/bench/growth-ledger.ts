/** A ledger of fifty million entries in one running month: what a master asks about it every day, and its statement. */
import { formatId, type SubaccountId } from "../../src/platform/ids.ts";
import { createCaller, p99Of } from "./growth-calls.ts";
import type { Figure, Found } from "./growth-figures.ts";
import { prepare, seedSubaccounts } from "./growth-seed.ts";
import { settleDown } from "./growth-seed-backlog.ts";
import { seedLedger } from "./growth-seed-ledger.ts";
import { bookProblems, type Ground, oneRound, type Stage } from "./growth-stage.ts";

/** Above this the verification of the whole ledger would take longer than all the rest. */
const verifiable = 2_000_000;

export async function ledgerGrowth(ground: Ground): Promise<Found> {
  const { options, say } = ground;
  const { ledger: entries, customers, calls } = options;
  await using stage = await ground.open();
  await prepare(stage.pool);
  await seedSubaccounts(stage.pool, stage.masterId, 1, customers, say);
  await seedLedger(stage.pool, { masterId: stage.masterId, customers, entries }, say);
  await settleDown(stage.pool, say);
  const ids = await someOf(stage);
  using master = createCaller(stage.relay.api.url, stage.relay.accounts.masterKey);
  using operator = createCaller(stage.relay.api.url, stage.relay.api.operatorKey);
  const figures: Figure[] = [];
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
  say("a round of mail");
  const round = await oneRound(ground, { name: "ledger", stage });
  figures.push({ what: "delivered beside it", seen: round.deliveredPerSecond, unit: "/s", goal: null });
  const books = entries <= verifiable ? await bookProblems("ledger", stage) : [];
  return { figures, curves: [], problems: [...statement.problems, ...round.problems, ...books] };
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

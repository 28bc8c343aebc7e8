/** `postmeter usage`: what was used, of what. */
import type { Command } from "commander";
import { readDailyUsage } from "../metering/daily.ts";
import { listDateUsage } from "../metering/dates-usage.ts";
import { listSubaccountUsage, readMasterUsage, readUsage } from "../metering/usage.ts";
import type { MasterId } from "../platform/ids.ts";
import { formatId, type SubaccountId } from "../platform/ids.ts";
import { shownForecast } from "./forecast.ts";
import * as input from "./input.ts";
import { facts, instant, table } from "./layout.ts";
import { operator, type Session } from "./session.ts";
import { page, shape } from "./shape.ts";
import { usageFacts } from "./subaccount-view.ts";
import { type Cli, type Options, runWith, type Shown, verb } from "./verb.ts";

type UsageOptions = Options & { period?: string; daily?: true; forecast?: true; subaccounts?: true; limit: number };

export function addUsageCommand(program: Command, cli: Cli): void {
  verb(program, "usage", "what a subaccount or a master has used in a period", [
    "usage sub_01kb2m5xj7e1fr0x4m4f6a0z3q",
    "usage sub_01kb2m5xj7e1fr0x4m4f6a0z3q --daily --period 2026-11-01",
    "usage sub_01kb2m5xj7e1fr0x4m4f6a0z3q --forecast",
    "usage mas_01kb2m5xj7e1fr0x4m4f6a0z3q --subaccounts --json",
    "usage mas_01kb2m5xj7e1fr0x4m4f6a0z3q --daily --limit 1000",
  ])
    .argument("<account>", "sub_... or mas_...", input.account)
    .option("--period <date>", "its first day in the master's time zone; the running one by default")
    .option("--daily", "day by day; of a master each subaccount that used something")
    .option("--forecast", "when the limit or allowance will be used up")
    .option("--subaccounts", "of each subaccount of a master")
    .option("--limit <n>", "how many rows at most, of a master", input.rows, 100)
    .action((ref: input.AccountRef, options: UsageOptions, command: Command) => {
      if (options.daily && options.subaccounts) {
        command.error("error: --daily has each subaccount already; leave --subaccounts out", { exitCode: 2 });
      }
      if (options.subaccounts && ref.kind === "subaccount") {
        command.error("error: --subaccounts is for a master", { exitCode: 2 });
      }
      if (options.forecast && (options.daily || options.subaccounts || options.period)) {
        command.error("error: --forecast is of the running period, and stands alone", { exitCode: 2 });
      }
      return runWith(cli, options, (session) => {
        if (options.forecast) return shownForecast(session, ref);
        if (ref.kind === "subaccount")
          return options.daily ? daily(session, ref.id, options) : one(session, ref.id, options);
        if (options.daily) return eachDay(session, ref.id, options);
        return options.subaccounts ? each(session, ref.id, options) : ofMaster(session, ref.id, options);
      });
    });
}

async function one({ db, clock }: Session, id: SubaccountId, { period }: UsageOptions): Promise<Shown> {
  const usage = await readUsage(db, operator, id, period, clock);
  return { json: shape(usage), text: facts(usageFacts(usage)) };
}

async function daily({ db, clock }: Session, id: SubaccountId, { period }: UsageOptions): Promise<Shown> {
  const usage = await readDailyUsage(db, operator, id, period, clock);
  const rows = usage.days.map(({ date, units, messages, corrections, refused }) => [
    date,
    units,
    messages,
    corrections,
    refused,
  ]);
  return { json: shape(usage), text: table(["day", "units", "messages", "corrections", "refused"], rows) };
}

async function eachDay({ db, clock }: Session, id: MasterId, { period, limit }: UsageOptions): Promise<Shown> {
  const { items, more } = page(await listDateUsage(db, operator, { masterId: id, period, limit }, clock), limit);
  const rows = items.map(({ date, subaccountId, name, units, messages, corrections }) => [
    date,
    formatId("sub", subaccountId),
    name,
    units,
    messages,
    corrections,
  ]);
  const header = ["day", "subaccount", "name", "units", "messages", "corrections"];
  return { json: { data: items.map((item) => shape(item)), has_more: more }, text: table(header, rows) };
}

async function ofMaster({ db, clock }: Session, id: MasterId, { period }: UsageOptions): Promise<Shown> {
  const usage = await readMasterUsage(db, operator, id, period, clock);
  const text = facts({
    period: `${instant(usage.period.start)} to ${instant(usage.period.end)}`,
    used: usage.used,
    allowance: usage.allowance ?? "none",
    "never more than": usage.cap ?? "unlimited",
    remaining: usage.remaining ?? "unlimited",
    corrections: usage.corrections || undefined,
  });
  return { json: shape(usage), text };
}

async function each({ db, clock }: Session, id: MasterId, { period, limit }: UsageOptions): Promise<Shown> {
  const filter = { masterId: id, period, limit };
  const { items, more } = page(await listSubaccountUsage(db, operator, filter, clock), limit);
  const rows = items.map(({ id: subaccount, name, used, limit: most, topUp, remaining, refused }) => [
    formatId("sub", subaccount),
    name,
    used,
    most ?? "none",
    topUp,
    remaining ?? "-",
    refused,
  ]);
  const header = ["id", "name", "used", "limit", "top-ups", "remaining", "refused"];
  return { json: { data: items.map((item) => shape(item, "sub")), has_more: more }, text: table(header, rows) };
}

/** `postmeter ledger`: the proof of the bill, and corrections of it. */
import type { Command } from "commander";
import { addCorrection } from "../metering/correction.ts";
import { findScope } from "../metering/find-scope.ts";
import { listCorrections } from "../metering/list-corrections.ts";
import { isPart, type Scope } from "../metering/scope.ts";
import { type LedgerReport, type LeftOut, verifyLedger } from "../metering/verify.ts";
import { formatId, type MasterId, type MessageId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { instant, table } from "./layout.ts";
import { addArchiveCommands, often } from "./ledger-archive.ts";
import { operator } from "./session.ts";
import { page, shape } from "./shape.ts";
import { type Cli, group, type Options, runWith, type Shown, verb } from "./verb.ts";

export function addLedgerCommands(program: Command, cli: Cli): void {
  const ledger = group(program, "ledger", "the proof of the bill");
  addVerify(ledger, cli);
  addCorrect(ledger, cli);
  addCorrections(ledger, cli);
  addArchiveCommands(ledger, cli);
}

type VerifyOptions = Options & { withoutArchive?: true; master?: MasterId; period?: string };

function addVerify(ledger: Command, cli: Cli): void {
  verb(ledger, "verify", "recompute every counter, statement and kept sum; exit code 1 when one differs", [
    "ledger verify",
    "ledger verify --json",
    "ledger verify --without-archive",
    "ledger verify --master mas_01kb2m5xj7e1fr0x4m4f6a0z3q --period 2026-11-01",
  ])
    .option(
      "--master <id>",
      "only what belongs to this one; what can't be told of it alone is left out, and named",
      input.idOf("mas"),
    )
    .option(
      "--period <period>",
      "only this one of it: its first day in the master's time zone, or its statement, stm_...",
    )
    .option(
      "--without-archive",
      "leave the files of archived months out; the sums that are kept of them stand for them",
    )
    .action(({ withoutArchive, master, period, ...options }: VerifyOptions, command: Command) => {
      if (period !== undefined && master === undefined) {
        command.error("error: --period is a master's: give --master, too", { exitCode: 2 });
      }
      return runWith(cli, options, async ({ db, clock, config }) => {
        const tell = often(cli);
        const report = await verifyLedger(db, clock, {
          ...(withoutArchive ? {} : { archiveDir: config.archiveDir }),
          scope: await findScope(db, operator, { masterId: master, period }, clock),
          onProgress: ({ check, read }) => tell(`${check}: ${read} read`),
        });
        return shownReport(report);
      });
    });
}

function shownReport({ ok, read, differences, found, unread, scope, leftOut }: LedgerReport): Shown {
  const files = read.archive > 0 ? `, and ${read.archive} entries of the archive` : "";
  const left = unread.length > 0 ? `; archived months that were not read: ${unread.join(", ")}` : "";
  const counted = `${read.entries} entries, ${read.statements} statements and ${read.messages} rows of messages were read${files}${left}`;
  const rows = differences.map(({ check, subject, detail }) => [check, subject, detail]);
  const more = found > differences.length ? `\n... and ${found - differences.length} more` : "";
  const far = farOf(scope);
  const well = far === undefined ? "The ledger is in order" : `In order, ${far}`;
  const many = found === 1 ? "1 difference" : `${found} differences`;
  const wrong = far === undefined ? many : `${many}, ${far}`;
  const out = leftOut.length > 0 ? `\nLeft out: ${leftOut.map((one) => LEFT_OUT[one]).join("; ")}.` : "";
  const text = ok
    ? `${well}: ${counted}.${out}`
    : `${table(["check", "of", "difference"], rows)}${more}\n\n${wrong}; ${counted}.${out}`;
  const json = { ok, found, read, differences, unread, scope: shownScope(scope), left_out: leftOut };
  return { json, text, exitCode: ok ? 0 : 1 };
}

const LEFT_OUT: Readonly<Record<LeftOut, string>> = {
  archive: "the files of archived months, and corrections of charges up to their end",
  day_totals: "with how many entries of all masters each day was summed",
  credit_lots: "lots and packs of credits",
  prices: "prices but those of the statement",
  chain: "the chain of statements but the link to the one before",
};

/** Undefined: everything was looked at. */
function farOf(scope: Scope): string | undefined {
  if (!isPart(scope)) return undefined;
  const { masterId, period } = scope;
  const part = period === null ? "" : ` in the period from ${instant(period.start)}`;
  return `as far as ${formatId("mas", masterId)}${part} goes`;
}

/** Null: everything. */
function shownScope(scope: Scope): unknown {
  return isPart(scope) ? { master_id: formatId("mas", scope.masterId), period: scope.period } : null;
}

type CorrectOptions = Options & { note: string };

function addCorrect(ledger: Command, cli: Cli): void {
  verb(ledger, "correct", "take a charge back, wholly or in part: it changes the bill, not what may be sent", [
    'ledger correct msg_01kb2m5xj7e1fr0x4m4f6a0z3q -3 --note "delivered twice by our fault"',
    'ledger correct msg_01kb2m5xj7e1fr0x4m4f6a0z3q --note "lost in our outage"',
  ])
    .argument("<message>", "msg_...", input.idOf("msg"))
    .argument(
      "[units]",
      "below zero: taken back; above: charged again; left out: all that is still charged is taken back",
      input.whole,
    )
    .requiredOption("--note <text>", "why; kept with the correction")
    .action((messageId: MessageId, units: number | undefined, { note, ...options }: CorrectOptions) =>
      runWith(cli, options, async ({ db, clock }) => {
        const correction = await addCorrection(db, operator, { messageId, units, note }, clock);
        const text = `${correction.units} units in the period from ${instant(correction.period.start)}`;
        const { actor: _, ...shown } = correction;
        return { json: shape(shown, "ent"), text };
      }),
    );
}

type ListOptions = Options & { period?: string; limit: number };

function addCorrections(ledger: Command, cli: Cli): void {
  verb(ledger, "corrections", "what was taken back or charged again, newest first", [
    "ledger corrections mas_01kb2m5xj7e1fr0x4m4f6a0z3q --period 2026-11-01",
  ])
    .argument("[master]", "mas_...; left out: of all", input.idOf("mas"))
    .option("--period <date>", "that in which they count, by its first day in the master's time zone")
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action((masterId: MasterId | undefined, { period, limit, ...options }: ListOptions) =>
      runWith(cli, options, async ({ db, clock }) => {
        const found = await listCorrections(db, operator, { masterId, period, limit }, clock);
        const { items, more } = page(found, limit);
        const rows = items.map((one) => [
          formatId("ent", one.id),
          one.createdAt,
          formatId("msg", one.messageId),
          one.units,
          one.actorId ?? one.actorKind,
          one.note,
        ]);
        const text = table(["id", "at", "message", "units", "by", "why"], rows, "Nothing was corrected.");
        return { json: { data: items.map((one) => shape(one, "ent")), has_more: more }, text };
      }),
    );
}

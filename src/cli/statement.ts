/** `postmeter statement`: what a master owes, period by period. */
import { type Command, Option } from "commander";
import { findMaster } from "../accounts/find.ts";
import { closeMaster } from "../metering/close.ts";
import { closeDue } from "../metering/close-due.ts";
import { type ListedStatement, listStatements, readStatement } from "../metering/read-statement.ts";
import { shownMoney, shownPrice, shownSums } from "../metering/shown-amounts.ts";
import {
  billedUnits,
  type Statement,
  type StatementFigures,
  type StatementSummary,
  sealedText,
} from "../metering/statement.ts";
import { statementCsv } from "../metering/statement-csv.ts";
import { groupLines, onlyProfile } from "../metering/statement-groups.ts";
import { formatId, type MasterId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { facts, instant, table } from "./layout.ts";
import { operator } from "./session.ts";
import { page, shape } from "./shape.ts";
import { lineShape, listed, moneyTables } from "./statement-money.ts";
import { type Cli, group, type Options, runWith, type Shown, verb } from "./verb.ts";

const aMaster = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addStatementCommands(program: Command, cli: Cli): void {
  const statement = group(program, "statement", "what a master owes, period by period");
  addList(statement, cli);
  addShow(statement, cli);
  addClose(statement, cli);
}

function addList(statement: Command, cli: Cli): void {
  verb(statement, "list", "closed statements of a master, newest first", [`statement list ${aMaster}`])
    .argument("<master>", "mas_...", input.idOf("mas"))
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action((masterId: MasterId, { limit, ...options }: Options & { limit: number }) =>
      runWith(cli, options, async ({ db, clock }) => {
        const { items, more } = page(await listStatements(db, operator, { masterId, limit }, clock), limit);
        const rows = items.map((one) => [
          one.number,
          formatId("stm", one.id as NonNullable<typeof one.id>),
          one.period.start,
          ...cellsOf(one),
          listed(one.totals),
        ]);
        const header = ["number", "id", "from", ...figureNames, "total"];
        const text = table(header, rows, "No period has been closed yet.");
        return { json: { data: items.map(listedShape), has_more: more }, text };
      }),
    );
}

const figureNames = ["messages", "units", "corrections", "billed", "credits", "overage", "refused"];

function cellsOf(figures: StatementFigures): number[] {
  const { messages, units, corrections, credits, overageUnits, refused } = figures;
  return [messages, units, corrections, billedUnits(figures), credits, overageUnits, refused];
}

type ShowOptions = Options & { csv?: true; sealed?: true; billingProfile?: string };

function addShow(statement: Command, cli: Cli): void {
  verb(statement, "show", "one statement with a line for each subaccount", [
    `statement show ${aMaster}`,
    `statement show ${aMaster} 2026-11-01`,
    `statement show ${aMaster} 2026-11-01 --csv > november.csv`,
    `statement show ${aMaster} 2026-11-01 --billing-profile Berlin`,
    `statement show ${aMaster} 2026-11-01 --sealed | sha256sum`,
  ])
    .argument("<master>", "mas_...", input.idOf("mas"))
    .argument("[period]", "its first day in the master's time zone, stm_..., or current (a preview)", "current")
    .option("--billing-profile <name>", 'only what stands under it; "": under none')
    .addOption(new Option("--csv", "as a table for spreadsheets").conflicts("json"))
    .addOption(
      new Option("--sealed", "of a closed one the text that its hash covers").conflicts([
        "json",
        "csv",
        "billingProfile",
      ]),
    )
    .action((masterId: MasterId, name: string, options: ShowOptions) =>
      runWith(cli, options, async ({ db, clock }) => {
        const whole = await readStatement(db, operator, name, clock, masterId);
        if (options.sealed) return { json: null, text: sealedText(whole).trimEnd() }; // its last end of line is the output's own
        const profile = options.billingProfile;
        const statement = profile === undefined ? whole : onlyProfile(whole, profile === "" ? null : profile);
        if (options.csv) return { json: null, text: statementCsv(statement) };
        return shownStatement(statement);
      }),
    );
}

function addClose(statement: Command, cli: Cli): void {
  verb(
    statement,
    "close",
    "close the periods that are over for POSTMETER_STATEMENT_GRACE; the job `statements` does it by itself",
    [`statement close ${aMaster}`, "statement close --all"],
  )
    .argument("[master]", "mas_...", input.idOf("mas"))
    .option("--all", "of every master")
    .action((masterId: MasterId | undefined, options: Options & { all?: true }, command: Command) => {
      if ((masterId === undefined) !== (options.all === true)) {
        command.error("error: name one master, or give --all", { exitCode: 2 });
      }
      return runWith(cli, options, async ({ db, clock, config }) => {
        const when = { clock, graceMs: config.statementGraceMs };
        if (masterId === undefined) {
          const closed = await closeDue(db, when);
          return { json: { closed }, text: closed === 0 ? "No period was due." : `${closed} closed.` };
        }
        await findMaster(db, operator, masterId, clock);
        const closed = await closeMaster(db, masterId, when);
        const rows = closed.map(({ id, period, units }) => [formatId("stm", id), period.start, period.end, units]);
        const data = closed.map((one) => shape(one, "stm"));
        return { json: { data }, text: table(["id", "from", "to", "units"], rows, "No period was due.") };
      });
    });
}

function listedShape({ totals, ...statement }: ListedStatement): Record<string, unknown> {
  return { ...summaryShape(statement), totals: totals.map(shownMoney) };
}

function summaryShape(statement: StatementSummary): Record<string, unknown> {
  return { ...(shape(statement, "stm") as object), billed: billedUnits(statement) };
}

function shownStatement(statement: Statement): Shown {
  const { period, lines, closedAt } = statement;
  const groups = groupLines(statement);
  const head = facts({
    statement: statement.id === null ? "preview, not closed" : formatId("stm", statement.id),
    number: statement.number ?? undefined,
    period: `${instant(period.start)} to ${instant(period.end)}`,
    allowance: statement.allowance ?? "none",
    ...Object.fromEntries(cellsOf(statement).map((value, i) => [figureNames[i], value])),
    closed: closedAt ?? undefined,
    "chain hash": statement.chainHash ?? undefined,
  });
  const rows = lines.map((line) => [line.name, line.externalId, line.billingProfile, ...cellsOf(line)]);
  const parts = [head, table(["subaccount", "external id", "billing profile", ...figureNames], rows)];
  if (groups.some(({ name }) => name !== null)) {
    const sums = groups.map(({ name, profile, ...group }) => [name, profile?.costCentre, ...cellsOf(group)]);
    parts.push(table(["billing profile", "cost centre", ...figureNames], sums));
  }
  const groupShapes = groups.map(({ lines: own, name, profile, ...figures }) => {
    const { currency = null, costCentre = null, address = null } = profile ?? {};
    const of = { billingProfile: name, currency, costCentre, address, subaccounts: own.length };
    return { ...(shape({ ...of, ...figures, billed: billedUnits(figures) }) as object), ...shownSums(own) };
  });
  const { profiles: _, price, lines: __, ...summary } = statement;
  const money = { price: shownPrice(price), ...shownSums(lines), lines: lines.map(lineShape) };
  parts.push(...moneyTables(statement));
  return { json: { ...summaryShape(summary), ...money, groups: groupShapes }, text: parts.join("\n\n") };
}

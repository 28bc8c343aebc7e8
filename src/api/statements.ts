/** What a master owes: closed statements as they were closed, and the running period as a preview. JSON or CSV. */
import { z } from "@hono/zod-openapi";
import { findMaster } from "../accounts/find.ts";
import { type ListedStatement, listStatements, readStatement } from "../metering/read-statement.ts";
import { shownLinePrice, shownMoney, shownPrice, shownSums } from "../metering/shown-amounts.ts";
import {
  billedUnits,
  type Statement,
  type StatementFigures,
  type StatementLine,
  type StatementSummary,
  sealedText,
} from "../metering/statement.ts";
import { statementCsv } from "../metering/statement-csv.ts";
import { groupLines, onlyProfile, type StatementGroup } from "../metering/statement-groups.ts";
import { accountPrice, exampleLineMoney, exampleSums, money } from "./amount-shape.ts";
import type { Deps } from "./deps.ts";
import { type Content, type Endpoint, endpoint } from "./endpoint.ts";
import { instant, listOf, pageParams, showId, showInstant, shownId } from "./fields.ts";
import { negotiate } from "./negotiate.ts";
import { pagingOf } from "./paging.ts";
import { invalidQuery } from "./problem.ts";
import { statementPage } from "./statement-page.ts";
import { periodShape, showPeriod } from "./usage-shape.ts";

const tag = "Statements";
const access = { who: ["master"], scopes: ["billing", "read"] } as const;
const CSV = "text/csv; charset=utf-8";

const figureMembers = {
  messages: z.int(),
  units: z.int(),
  corrections: z.int(),
  billed: z.int().openapi({ description: "units + corrections; below 0 units were taken back." }),
  credits: z.int().openapi({ description: "Of `units`, paid by credits." }),
  overage_units: z.int().openapi({
    description:
      "What of `billed` lies above the allowance and was not paid by credits; lines share it by what they have to pay for.",
  }),
  refused: z.int().openapi({ description: "Messages that were refused, for whatever reason: no part of the bill." }),
};

const exampleFigures = {
  ...{ messages: 41_200, units: 48_230, corrections: -3, billed: 48_227 },
  ...{ credits: 500, overage_units: 1_204, refused: 12 },
};

const summaryMembers = {
  id: shownId("stm").nullable().openapi({ description: "Null: a preview." }),
  number: z.int().nullable().openapi({ description: "1, 2, 3 and so on, without a gap.", example: 7 }),
  format: z.int().openapi({
    description: "1: closed before credits, refusals and billing profiles were kept; they are 0 and null.",
    example: 2,
  }),
  period: periodShape,
  allowance: z.int().nullable(),
  cap: z.int().nullable(),
  overage: z.enum(["block", "bill"]),
  ...figureMembers,
  closed_at: instant.nullable(),
  lines_hash: z.string().nullable().openapi({ description: "SHA-256 over the figures and lines." }),
  chain_hash: z.string().nullable().openapi({ description: "SHA-256 over the chain hash before and lines_hash." }),
};

const costs = z
  .array(money)
  .openapi({ description: "Its share of what the operator asks, by what it has to pay for; lines sum to that." });
const sumMembers = {
  revenue: z.array(money).openapi({ description: "What the master asks of its subaccounts." }),
  costs,
  margins: z.array(money).openapi({ description: "The sum of the lines' margins, of those that have one." }),
};

const lineShape = z
  .strictObject({
    subaccount_id: shownId("sub"),
    name: z.string(),
    external_id: z.string().nullable(),
    monthly_limit: z.int().nullable(),
    top_up: z.int(),
    ...figureMembers,
    billing_profile: z.string().nullable().openapi({ example: "Cost centre Berlin" }),
    price: accountPrice.nullable().openapi({ description: "What the master asks of it; null: it has no price." }),
    costs,
    margin: money
      .nullable()
      .openapi({ description: "Price less cost; null where they are not both in one currency, the same." }),
  })
  .openapi("StatementLine", {
    example: {
      ...{ subaccount_id: "sub_01kb2m5xj7e1fr0x4m4f6a0z3q", name: "Corner Shop", external_id: "c-17" },
      ...{ monthly_limit: 50_000, top_up: 0, ...exampleFigures, billing_profile: "Berlin" },
      ...exampleLineMoney,
    },
  });

const groupShape = z
  .strictObject({
    billing_profile: z.string().nullable().openapi({ description: "Null: of no profile.", example: "Berlin" }),
    currency: z.string().nullable().openapi({ description: "Null: no profile has that name.", example: "EUR" }),
    cost_centre: z.string().nullable().openapi({ example: "4711" }),
    address: z.string().nullable(),
    subaccounts: z.int(),
    ...figureMembers,
    ...sumMembers,
  })
  .openapi("StatementGroup", {
    description: "Lines sum to their group, groups to the statement.",
    example: {
      ...{ billing_profile: "Berlin", currency: "EUR", cost_centre: "4711", address: "Quay 1\n10115 Berlin" },
      ...{ subaccounts: 1, ...exampleFigures, ...exampleSums },
    },
  });

const listedShape = z
  .strictObject({
    ...summaryMembers,
    totals: z.array(money).openapi({ description: "What the operator asks of the master; empty: it had no price." }),
  })
  .openapi("StatementSummary");
const statementShape = z
  .strictObject({
    ...summaryMembers,
    price: accountPrice.nullable().openapi({
      description:
        "What the operator asks of the master; null: it has no price, and on the sheet of one billing profile.",
    }),
    ...sumMembers,
    groups: z.array(groupShape),
    lines: z.array(lineShape),
  })
  .openapi("Statement");

export function statementEndpoints(deps: Deps): Endpoint[] {
  return [list(deps), show(deps)];
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/statements",
      tag,
      summary: "Closed statements, newest first",
      access,
      query: z.strictObject(pageParams),
      status: 200,
      answer: listOf(listedShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const before = after === undefined ? undefined : new Date(String(after[0]));
      const rows = await listStatements(call.db, call.principal, { before, limit }, deps.clock);
      return { body: page(rows, showListed, ({ period }) => [period.start.toISOString()]) };
    },
  );
}

function show({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/statements/{period}",
      tag,
      summary: "One statement with its lines",
      description:
        "`current` is a preview of the running period; else its start date, or `stm_...`. CSV with `.csv` behind it, a page to be printed with `.html`, the text whose SHA-256 is `lines_hash` with `.txt`; or by Accept.",
      access,
      query: z.strictObject({
        billing_profile: z.string().max(100).optional().openapi({
          description: "Only what stands under the profile of that name, with its own sums; empty: under none.",
          example: "Berlin",
        }),
      }),
      params: z.object({ period: z.string().max(40).openapi({ example: "2026-11-01" }) }),
      status: 200,
      answer: statementShape,
      also: {
        "text/csv": "One row per subaccount.",
        "text/html": "To be printed, in the master's language and zone.",
        "text/plain": "Of a closed one what its hash covers: one JSON array per line.",
      },
    },
    async ({ db, principal, params, query, accept }) => {
      const [, name = "", suffix] = /^(.*?)(?:\.(csv|html|txt))?$/.exec(params.period) ?? [];
      const type = suffix ? types[suffix] : negotiate(accept, ["application/json", ...Object.values(types)]);
      const whole = await readStatement(db, principal, name, clock);
      const profile = query.billing_profile;
      if (type === "text/plain") return { content: sealed(whole, profile) };
      const statement = profile === undefined ? whole : onlyProfile(whole, profile === "" ? null : profile);
      if (type === "application/json") return { body: showStatement(statement) };
      if (type === "text/html") {
        return { content: await statementPage(statement, await findMaster(db, principal, undefined, clock)) };
      }
      return {
        content: { type: CSV, bytes: Buffer.from(statementCsv(statement)), fileName: fileName(statement, "csv") },
      };
    },
  );
}

const types: Record<string, string> = { csv: "text/csv", html: "text/html", txt: "text/plain" };

function sealed(statement: Statement, profile: string | undefined): Content {
  if (profile !== undefined)
    throw invalidQuery("billing_profile", "The hash covers the whole statement; leave this out.");
  const bytes = Buffer.from(sealedText(statement));
  return { type: "text/plain; charset=utf-8", bytes, fileName: fileName(statement, "txt") };
}

function fileName({ period }: Statement, ending: string): string {
  return `statement-${period.start.toISOString().slice(0, 10)}.${ending}`;
}

function showFigures(figures: StatementFigures) {
  const { messages, units, corrections, credits, overageUnits, refused } = figures;
  const billed = billedUnits(figures);
  return { messages, units, corrections, billed, credits, overage_units: overageUnits, refused };
}

function showListed({ totals, ...statement }: ListedStatement): z.output<typeof listedShape> {
  return { ...showSummary(statement), totals: totals.map(shownMoney) };
}

function showSummary(statement: StatementSummary) {
  const { number, format, allowance, cap, overage } = statement;
  return {
    id: showId("stm", statement.id),
    number,
    format,
    period: showPeriod(statement.period),
    allowance,
    cap,
    overage,
    ...showFigures(statement),
    closed_at: showInstant(statement.closedAt),
    lines_hash: statement.linesHash,
    chain_hash: statement.chainHash,
  };
}

function showStatement(statement: Statement): z.output<typeof statementShape> {
  return {
    ...showSummary(statement),
    price: shownPrice(statement.price),
    ...shownSums(statement.lines),
    groups: groupLines(statement).map(showGroup),
    lines: statement.lines.map(showLine),
  };
}

function showGroup({ name, profile, lines, ...figures }: StatementGroup): z.output<typeof groupShape> {
  const { currency = null, costCentre: cost_centre = null, address = null } = profile ?? {};
  const shown = { billing_profile: name, currency, cost_centre, address, subaccounts: lines.length };
  return { ...shown, ...showFigures(figures), ...shownSums(lines) };
}

function showLine(line: StatementLine): z.output<typeof lineShape> {
  return {
    subaccount_id: showId("sub", line.subaccountId),
    name: line.name,
    external_id: line.externalId,
    monthly_limit: line.monthlyLimit,
    top_up: line.topUp,
    ...showFigures(line),
    billing_profile: line.billingProfile,
    ...shownLinePrice(line),
  };
}

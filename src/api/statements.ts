/** What a master owes: closed statements as they were closed, and the running period as a preview. JSON or CSV. */
import { z } from "@hono/zod-openapi";
import { findMaster } from "../accounts/find.ts";
import { listStatements, readStatement } from "../metering/read-statement.ts";
import {
  billedUnits,
  overageUnits,
  type Statement,
  type StatementLine,
  type StatementSummary,
} from "../metering/statement.ts";
import { statementCsv } from "../metering/statement-csv.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";
import { instant, listOf, pageParams, showId, showInstant, shownId } from "./fields.ts";
import { negotiate } from "./negotiate.ts";
import { pagingOf } from "./paging.ts";
import { statementPage } from "./statement-page.ts";
import { periodShape, showPeriod } from "./usage-shape.ts";

const tag = "Statements";
const access = { who: ["master"], scopes: ["billing", "read"] } as const;
const CSV = "text/csv; charset=utf-8";

const summaryMembers = {
  id: shownId("stm").nullable().openapi({ description: "Null: a preview." }),
  period: periodShape,
  allowance: z.int().nullable(),
  cap: z.int().nullable(),
  overage: z.enum(["block", "bill"]),
  messages: z.int(),
  units: z.int(),
  corrections: z.int(),
  billed: z.int().openapi({ description: "units + corrections; below 0 it is a credit." }),
  overage_units: z.int().openapi({ description: "What of `billed` lies above the allowance." }),
  closed_at: instant.nullable(),
  lines_hash: z.string().nullable().openapi({ description: "SHA-256 over the figures and lines." }),
  chain_hash: z.string().nullable().openapi({ description: "SHA-256 over the chain hash before and lines_hash." }),
};

const lineShape = z
  .strictObject({
    subaccount_id: shownId("sub"),
    name: z.string(),
    external_id: z.string().nullable(),
    monthly_limit: z.int().nullable(),
    top_up: z.int(),
    messages: z.int(),
    units: z.int(),
    corrections: z.int(),
  })
  .openapi("StatementLine");

const summaryShape = z.strictObject(summaryMembers).openapi("StatementSummary");
const statementShape = z.strictObject({ ...summaryMembers, lines: z.array(lineShape) }).openapi("Statement");

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
      answer: listOf(summaryShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const before = after === undefined ? undefined : new Date(String(after[0]));
      const rows = await listStatements(call.db, call.principal, { before, limit }, deps.clock);
      return { body: page(rows, showSummary, ({ period }) => [period.start.toISOString()]) };
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
        "`current` is a preview of the running period; else its start date, or `stm_...`. CSV with `.csv` behind it, a page to be printed with `.html`; or by Accept.",
      access,
      params: z.object({ period: z.string().max(40).openapi({ example: "2026-11-01" }) }),
      status: 200,
      answer: statementShape,
      also: { "text/csv": "One row per subaccount.", "text/html": "To be printed, in the master's language and zone." },
    },
    async ({ db, principal, params, accept }) => {
      const [, name = "", suffix] = /^(.*?)(?:\.(csv|html))?$/.exec(params.period) ?? [];
      const type = suffix ? `text/${suffix}` : negotiate(accept, ["application/json", "text/csv", "text/html"]);
      const statement = await readStatement(db, principal, name, clock);
      if (type === "application/json") return { body: showStatement(statement) };
      if (type === "text/html") {
        return { content: await statementPage(statement, await findMaster(db, principal, undefined, clock)) };
      }
      const fileName = `statement-${statement.period.start.toISOString().slice(0, 10)}.csv`;
      return { content: { type: CSV, bytes: Buffer.from(statementCsv(statement)), fileName } };
    },
  );
}

function showSummary(statement: StatementSummary): z.output<typeof summaryShape> {
  const { allowance, cap, overage, messages, units, corrections } = statement;
  return {
    id: showId("stm", statement.id),
    period: showPeriod(statement.period),
    allowance,
    cap,
    overage,
    messages,
    units,
    corrections,
    billed: billedUnits(statement),
    overage_units: overageUnits(statement),
    closed_at: showInstant(statement.closedAt),
    lines_hash: statement.linesHash,
    chain_hash: statement.chainHash,
  };
}

function showStatement(statement: Statement): z.output<typeof statementShape> {
  return { ...showSummary(statement), lines: statement.lines.map(showLine) };
}

function showLine(line: StatementLine): z.output<typeof lineShape> {
  const { name, messages, units, corrections } = line;
  return {
    subaccount_id: showId("sub", line.subaccountId),
    name,
    external_id: line.externalId,
    monthly_limit: line.monthlyLimit,
    top_up: line.topUp,
    messages,
    units,
    corrections,
  };
}

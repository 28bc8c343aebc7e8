/** `GET /v1/usage/daily`: every subaccount day by day, as a list or as one table. */
import { z } from "@hono/zod-openapi";
import { type DatePosition, type DateUsage, listDateUsage } from "../metering/dates-usage.ts";
import { csvRow, csvText } from "../platform/csv.ts";
import type { Deps } from "./deps.ts";
import { type Content, type Endpoint, endpoint } from "./endpoint.ts";
import { dateField, listOf, pageParams, showId, shownId } from "./fields.ts";
import { negotiate } from "./negotiate.ts";
import { pagingOf } from "./paging.ts";
import { type TablePage, tableOf } from "./table.ts";

const rowShape = z
  .strictObject({
    date: z.string().openapi({ description: "A day of the master's time zone." }),
    subaccount_id: shownId("sub"),
    external_id: z.string().nullable(),
    name: z.string(),
    messages: z.int(),
    units: z.int().openapi({ description: "Accepted recipients." }),
    corrections: z.int().openapi({ description: "Signed." }),
    billed_units: z.int().openapi({ description: "units + corrections" }),
  })
  .openapi("DateUsage", {
    example: {
      date: "2026-11-21",
      subaccount_id: "sub_01kb2m5xj7e1fr0x4m4f6a0z3q",
      external_id: "customer-17",
      name: "Blue Bakery",
      messages: 1200,
      units: 1370,
      corrections: -3,
      billed_units: 1367,
    },
  });

type Row = z.output<typeof rowShape>;

const TABLE_PAGE = 1000;

export function usageDailyEndpoints(deps: Deps): Endpoint[] {
  const { clock, log } = deps;
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/usage/daily",
        tag: "Usage",
        summary: "Usage of all subaccounts, day by day",
        description:
          "By date, then subaccount; who used nothing on a date has no row. Days gone by change only by corrections and by mail that is days late; rows that are final are those of /v1/usage/export. With Accept: text/csv the whole period as one table.",
        access: { who: ["master"], scopes: ["read", "billing"] },
        query: z.strictObject({
          period: dateField
            .optional()
            .openapi({ description: "The period's start in the master's time zone; the running one by default." }),
          ...pageParams,
        }),
        status: 200,
        answer: listOf(rowShape),
        also: { "text/csv": "One row per date and subaccount." },
      },
      async (call) => {
        const { db, principal, accept, query } = call;
        const { limit, after, page } = pagingOf(deps, call);
        const read = (from: DatePosition | undefined, most: number) =>
          listDateUsage(db, principal, { period: query.period, after: from, limit: most }, clock);
        const from = after as DatePosition | undefined;
        if (negotiate(accept, ["application/json", "text/csv"]) === "application/json") {
          return { body: page(await read(from, limit), showRow, positionOf) };
        }
        const readPage = async (position: DatePosition | undefined): Promise<TablePage<DatePosition>> => {
          const found = await read(position, TABLE_PAGE);
          const rows = found.slice(0, TABLE_PAGE);
          const next = found.length > TABLE_PAGE ? positionOf(rows.at(-1)!) : null;
          return { rows: rows.map((row) => csvRow(cellsOf(row))).join(""), next };
        };
        const header = csvRow(Object.keys(rowShape.shape));
        const chunks = tableOf(header, await readPage(from), readPage, log);
        const fileName = `usage-by-day-${query.period ?? clock.now().toISOString().slice(0, 10)}.csv`;
        return { content: { type: "text/csv; charset=utf-8", fileName, chunks } satisfies Content };
      },
    ),
  ];
}

function positionOf({ period, date, subaccountId }: DateUsage): DatePosition {
  return [period, date, subaccountId];
}

function showRow({ date, subaccountId, externalId, name, messages, units, corrections }: DateUsage): Row {
  const ids = { subaccount_id: showId("sub", subaccountId), external_id: externalId, name };
  return { date, ...ids, messages, units, corrections, billed_units: units + corrections };
}

/** In the order of the shape. */
function cellsOf(row: DateUsage): (string | number)[] {
  const { externalId, name } = row;
  const quoted = { external_id: externalId === null ? "" : csvText(externalId), name: csvText(name) };
  return Object.values({ ...showRow(row), ...quoted });
}

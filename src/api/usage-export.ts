/** Usage for billing systems: what is new since the last question, and all of it as a table. */
import { z } from "@hono/zod-openapi";
import type { Principal } from "../accounts/principal.ts";
import { exportUsage, type UsagePosition, type UsageRow, usageRowId } from "../metering/export.ts";
import type { Clock } from "../platform/clock.ts";
import { csvRow, csvText } from "../platform/csv.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import type { Deps } from "./deps.ts";
import { type Content, type Endpoint, endpoint, owners } from "./endpoint.ts";
import { idField, instant, integerParam, showId, showInstant, shownId } from "./fields.ts";
import { negotiate } from "./negotiate.ts";
import { type TablePage, tableOf } from "./table.ts";

const rowShape = z
  .strictObject({
    id: z
      .string()
      .openapi({ description: "The same whenever this row is handed out: what makes a repetition harmless." }),
    master_id: shownId("mas"),
    subaccount_id: shownId("sub"),
    external_id: z.string().nullable(),
    billing_profile: z.string().nullable(),
    period_start: instant,
    from: instant.openapi({ description: "A day of the master's time zone, or a part of one." }),
    until: instant,
    messages: z.int(),
    units: z.int().openapi({ description: "Accepted recipients." }),
    corrections: z.int().openapi({ description: "Signed." }),
    billed_units: z.int().openapi({ description: "units + corrections" }),
  })
  .openapi("UsageExportRow", {
    example: {
      id: "sub_01kb2m5xj7e1fr0x4m4f6a0z3q.1793491200.1795219200",
      master_id: "mas_01kb2m5xj7e1fr0x4m4f6a0z3q",
      subaccount_id: "sub_01kb2m5xj7e1fr0x4m4f6a0z3q",
      external_id: "customer-17",
      billing_profile: null,
      period_start: "2026-11-01T00:00:00.000Z",
      from: "2026-11-21T00:00:00.000Z",
      until: "2026-11-22T00:00:00.000Z",
      messages: 1200,
      units: 1370,
      corrections: -3,
      billed_units: 1367,
    },
  });

const answer = z
  .strictObject({
    data: z.array(rowShape),
    has_more: z.boolean(),
    next: z
      .string()
      .nullable()
      .openapi({ description: "What to give as `after` the next time, also when nothing was new; null: nothing yet." }),
  })
  .openapi("UsageExport");

const description =
  `A row for each subaccount and day that used something, final when it appears, two days after the day's end. Keep
next and ask with it again: no row is missed and none comes twice. Should an entry reach a day later than that, all rows of the day come
again, with the same ids and the new figures. With Accept: text/csv all rows after that place as one table.`.replaceAll(
    "\n",
    " ",
  );

const LIMIT = 1000;

const query = z.strictObject({
  after: z
    .string()
    .max(1000)
    .optional()
    .openapi({ description: "The next of the answer before; left out: from the first row on." }),
  master_id: idField("mas").optional().openapi({ description: "The operator's choice." }),
  limit: integerParam(1, LIMIT)
    .optional()
    .openapi({ description: `How many, from 1 to ${LIMIT}, which is the default.` }),
});

export function usageExportEndpoints({ keyring, clock, log }: Deps): Endpoint[] {
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/usage/export",
        tag: "Usage",
        summary: "Final usage per subaccount and day, for billing systems",
        description,
        access: { who: owners, scopes: ["read", "billing"] },
        query,
        status: 200,
        answer,
        also: { "text/csv": "One row per subaccount and day." },
      },
      async ({ db, principal, accept, query: asked }) => {
        const list = `usage export ${asked.master_id ?? ""}`;
        const after = asked.after === undefined ? undefined : decodeCursor(keyring, list, asked.after, "after");
        const of = { masterId: asked.master_id, after: after as UsagePosition | undefined };
        if (negotiate(accept, ["application/json", "text/csv"]) === "text/csv") {
          return { content: await usageTable({ db, principal, clock, log }, of) };
        }
        const most = asked.limit ?? LIMIT;
        const found = await exportUsage(db, principal, { ...of, limit: most });
        const rows = found.slice(0, most);
        const last = rows.at(-1)?.position;
        const next = last === undefined ? (asked.after ?? null) : encodeCursor(keyring, list, last);
        return { body: { data: rows.map(showRow), has_more: found.length > most, next } };
      },
    ),
  ];
}

function showRow(row: UsageRow): z.output<typeof rowShape> {
  const { masterId, subaccountId, externalId, billingProfile, periodStart, since, until } = row;
  const { messages, units, corrections } = row;
  return {
    id: usageRowId(row),
    master_id: showId("mas", masterId),
    subaccount_id: showId("sub", subaccountId),
    external_id: externalId,
    billing_profile: billingProfile,
    period_start: showInstant(periodStart),
    from: showInstant(since),
    until: showInstant(until),
    ...{ messages, units, corrections, billed_units: units + corrections },
  };
}

type Reader = Readonly<{ db: Db; principal: Principal; clock: Clock; log: Log }>;
type From = Readonly<{ masterId?: MasterId | undefined; after?: UsagePosition | undefined }>;

async function usageTable({ db, principal, clock, log }: Reader, from: From): Promise<Content> {
  const header = Object.keys(rowShape.shape);
  const read = async (after: UsagePosition | undefined): Promise<TablePage<UsagePosition>> => {
    const found = await exportUsage(db, principal, { ...from, after, limit: LIMIT });
    const rows = found.slice(0, LIMIT);
    const text = rows.map((row) => csvRow(Object.values(cellsOf(row)))).join("");
    return { rows: text, next: found.length > LIMIT ? (rows.at(-1)?.position ?? null) : null };
  };
  const first = await read(from.after);
  const fileName = `usage-${clock.now().toISOString().slice(0, 10)}.csv`;
  return { type: "text/csv; charset=utf-8", fileName, chunks: tableOf(csvRow(header), first, read, log) };
}

/** In the order of the shape. */
function cellsOf(row: UsageRow): Record<keyof z.output<typeof rowShape>, string | number> {
  const quoted = (text: string | null) => (text === null ? "" : csvText(text));
  return { ...showRow(row), external_id: quoted(row.externalId), billing_profile: quoted(row.billingProfile) };
}

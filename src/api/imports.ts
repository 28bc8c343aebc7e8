/** Subaccounts from a table: previewed, done in the background, their credentials handed over once. */
import { z } from "@hono/zod-openapi";
import { columnNames } from "../bulk/columns.ts";
import { takeCredentials } from "../bulk/credentials.ts";
import { listItems } from "../bulk/items.ts";
import { MAX_ROWS } from "../bulk/read-table.ts";
import { receiveImport } from "../bulk/receive-import.ts";
import { findRun, type Run } from "../bulk/runs.ts";
import { startRun, stopRun } from "../bulk/start.ts";
import type { Db } from "../platform/database.ts";
import type { ImportId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { idParams, listOf, noMembers, pageParams, showId, shownId } from "./fields.ts";
import { flagParam } from "./list-params.ts";
import { pagingOf } from "./paging.ts";
import { importItemShape, runMembers, showImportItem, showRun } from "./run-shape.ts";

const tag = "Imports";
const changing = { who: owners, scopes: [] } as const;
const reading = { who: owners, scopes: ["read"] } as const;

/** Of one answer; the rest by pages. */
const SHOWN = 100;

const importShape = z
  .strictObject({
    id: shownId("imp"),
    ...runMembers,
    ignored_columns: z.array(z.string()).openapi({ description: "Columns that are only shown; they are passed over." }),
    credentials: z
      .boolean()
      .openapi({ description: "Whether credentials can be taken, once, until a day after its end." }),
    errors: z
      .array(z.strictObject({ line: z.int(), column: z.string().nullable(), detail: z.string() }))
      .openapi({ description: `Of the first ${SHOWN} rows that have some; all by /rows?wrong=true.` }),
    rows: z
      .array(importItemShape)
      .optional()
      .openapi({ description: `With dry_run: the first ${SHOWN}.` }),
  })
  .openapi("Import");

const description =
  `The first row names the columns: id or external_id, by which a subaccount is known again, and any of
${columnNames.join(", ")}; for new ones onboarding (handover or invite), too. Columns of the downloaded table that are only shown are
passed over. A blank cell means none; for monthly_limit write \`none\`. At most ${MAX_ROWS} rows. What others hold (slugs, room under strict
allocation) is found out when a row is done.`.replaceAll("\n", " ");

export function importEndpoints(deps: Deps): Endpoint[] {
  return [upload(deps), ...one(deps), rows(deps), credentials(deps)];
}

function upload({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/import",
      tag,
      summary: "Create and change subaccounts from a table",
      description,
      access: { who: ["master"], scopes: [] },
      query: z.strictObject({
        dry_run: flagParam
          .optional()
          .openapi({ description: "Says what would be done; /v1/imports/{id}/start does it." }),
      }),
      upload: "text/csv",
      status: 202,
      previewStatus: 200,
      answer: importShape,
    },
    async ({ db, principal, query, upload: bytes }) => {
      const preview = query.dry_run ?? false;
      const run = await receiveImport(db, principal, bytes, { preview }, clock);
      const shown = await showImport(db, run);
      if (!preview) return { body: shown };
      const first = (await listItems(db, run, { limit: SHOWN })).slice(0, SHOWN);
      return { status: 200, body: { ...shown, rows: first.map(showImportItem) } };
    },
  );
}

const oneImport = { tag, params: idParams("imp"), status: 200, answer: importShape } as const;
const doing = { ...oneImport, method: "post", access: changing, body: noMembers, bodyOptional: true } as const;

function one({ clock }: Deps): Endpoint[] {
  return [
    endpoint(
      { ...oneImport, method: "get", path: "/v1/imports/{id}", summary: "How far an import is", access: reading },
      async ({ db, principal, params }) => ({
        body: await showImport(db, await findRun(db, principal, "import", params.id)),
      }),
    ),
    endpoint(
      { ...doing, path: "/v1/imports/{id}/start", summary: "Do what was previewed" },
      async ({ db, principal, params }) => ({
        body: await showImport(db, await startRun(db, principal, "import", params.id, clock)),
      }),
    ),
    endpoint(
      { ...doing, path: "/v1/imports/{id}/stop", summary: "Leave the rest undone" },
      async ({ db, principal, params }) => ({
        body: await showImport(db, await stopRun(db, principal, "import", params.id, clock)),
      }),
    ),
  ];
}

function rows(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/imports/{id}/rows",
      tag,
      summary: "Each row: what is planned, and what came of it",
      access: reading,
      params: idParams("imp"),
      query: z.strictObject({
        wrong: flagParam.optional().openapi({ description: "Only those with errors." }),
        ...pageParams,
      }),
      status: 200,
      answer: listOf(importItemShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const run = await findRun(call.db, call.principal, "import", call.params.id);
      const filter = { wrong: call.query.wrong, after: after?.[0] as number | undefined, limit };
      return { body: page(await listItems(call.db, run, filter), showImportItem, ({ n }) => [n]) };
    },
  );
}

function credentials(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/imports/{id}/credentials",
      tag,
      summary: "Take the credentials of those that were created, once",
      description:
        "A table: id, external_id, name, username, password, log_in_url (works once, within a day). It is gone with the first answer, and a day after the import ended.",
      access: changing,
      params: idParams("imp"),
      body: noMembers,
      bodyOptional: true,
      status: 200,
      also: { "text/csv": "One row per created subaccount." },
    },
    async ({ db, principal, params }) => {
      const chunks = await takeCredentials(db, principal, params.id, { ...deps, publicUrl: deps.publicUrl() });
      return { content: { type: "text/csv; charset=utf-8", fileName: "credentials.csv", chunks } };
    },
  );
}

async function showImport(db: Db, run: Run): Promise<z.output<typeof importShape>> {
  const wrong = (await listItems(db, run, { wrong: true, limit: SHOWN })).slice(0, SHOWN);
  return {
    id: showId("imp", run.id as ImportId),
    ...showRun(run),
    ignored_columns: [...run.ignored],
    credentials: run.created > 0 && run.finishedAt !== null && run.secretsTakenAt === null,
    errors: wrong.flatMap(({ line, errors }) =>
      errors.map(({ column, detail }) => ({ line: line ?? 0, column, detail })),
    ),
  };
}

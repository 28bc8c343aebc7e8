/**
 * The first credentials of accounts that an import has created: kept encrypted, given out once, as a table.
 *
 * Invariant: of many who ask one gets them; what has been given out is gone from the database, also where the client has gone away
 * in the middle. A day after the import ended nobody gets them any more.
 */
import { sql } from "kysely";
import type { NewCredential } from "../accounts/credentials.ts";
import { requireMasterChange } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import { csvRow, csvText } from "../platform/csv.ts";
import type { Db } from "../platform/database.ts";
import { Fault, notFound } from "../platform/errors.ts";
import { type BulkRunId, formatId, type ImportId, type SubaccountId } from "../platform/ids.ts";
import type { Keyring } from "../platform/secrets.ts";
import { findRun, showRunId } from "./runs.ts";

export const SECRETS_KEPT_MS = 24 * 3_600_000;
const PAGE = 500;

/** `path`: where its owner logs in for the first time, within a day of the row's work; null without an address. */
type Secret = Readonly<{ username: string; password: string; path: string | null }>;
type Made = NewCredential & Readonly<{ logInPath: string | null }>;

const contextOf = (runId: BulkRunId, n: number) => `import:${runId}:${n}`;

export function sealCredential(keyring: Keyring, runId: BulkRunId, n: number, made: Made): Buffer {
  const { credential, password, logInPath: path } = made;
  const secret: Secret = { username: credential.username, password, path };
  return keyring.encrypt(Buffer.from(JSON.stringify(secret)), contextOf(runId, n));
}

/**
 * Rows of a table, made while they are taken.
 * @throws Fault not-found (also where they are gone), forbidden, conflict while it runs
 */
export async function takeCredentials(
  db: Db,
  principal: Principal,
  id: ImportId,
  { keyring, clock, publicUrl }: Readonly<{ keyring: Keyring; clock: Clock; publicUrl: string }>,
): Promise<AsyncIterable<string>> {
  requireMasterChange(principal);
  const run = await findRun(db, principal, "import", id);
  if (run.state !== "done" && run.state !== "stopped") throw new Fault("conflict", "The import has not ended yet.");
  const since = new Date(clock.now().getTime() - SECRETS_KEPT_MS);
  await db.transaction().execute(async (trx) => {
    const taken = await trx
      .updateTable("bulk_run")
      .set({ secrets_taken_at: clock.now() })
      .where("id", "=", id)
      .where("secrets_taken_at", "is", null)
      .where("finished_at", ">", since)
      .returning("id")
      .executeTakeFirst();
    if (taken === undefined) throw notFound("table of credentials any more");
    const what = {
      action: "import.credentials_taken",
      target: showRunId(run),
      before: null,
      after: { created: run.created },
    };
    await record(trx, { principal, ...what, masterId: run.masterId, subaccountId: null }, clock);
  });
  return rowsOf(db, id, { keyring, publicUrl });
}

type Row = Readonly<{
  n: number;
  secret: Buffer;
  subaccount_id: SubaccountId;
  name: string;
  external_id: string | null;
}>;

type Reading = Readonly<{ keyring: Keyring; publicUrl: string }>;

async function* rowsOf(db: Db, id: ImportId, reading: Reading): AsyncGenerator<string> {
  yield csvRow(["id", "external_id", "name", "username", "password", "log_in_url"]);
  for (;;) {
    const rows = await takePage(db, id);
    if (rows.length === 0) return;
    yield rows.map((row) => textOf(row, id, reading)).join("");
  }
}

/** The secrets leave the database in the statement that reads them. */
async function takePage(db: Db, id: ImportId): Promise<Row[]> {
  const { rows } = await sql<Row>`
    with page as (
      select i.n, i.secret, s.id as subaccount_id, s.name, s.external_id
        from bulk_item i join subaccount s on s.id = i.subaccount_id
       where i.run_id = ${id} and i.secret is not null order by i.n limit ${PAGE}
    ), gone as (
      update bulk_item i set secret = null from page where i.run_id = ${id} and i.n = page.n
    ) select * from page order by n`.execute(db);
  return rows;
}

function textOf(
  { n, secret, subaccount_id, name, external_id }: Row,
  id: ImportId,
  { keyring, publicUrl }: Reading,
): string {
  const { username, password, path } = JSON.parse(keyring.decrypt(secret, contextOf(id, n)).toString()) as Secret;
  const known = external_id === null ? "" : csvText(external_id);
  return csvRow([
    formatId("sub", subaccount_id),
    known,
    csvText(name),
    username,
    password,
    path === null ? "" : `${publicUrl}${path}`,
  ]);
}

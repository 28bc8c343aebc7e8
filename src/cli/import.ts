/** `postmeter subaccount import`: the customers of a reseller from a table, done here and now. */
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { takeCredentials } from "../bulk/credentials.ts";
import { type Item, listItems } from "../bulk/items.ts";
import { receiveImport } from "../bulk/receive-import.ts";
import { finishRun } from "../bulk/run.ts";
import { findRun, type Run, showRunId } from "../bulk/runs.ts";
import { Fault } from "../platform/errors.ts";
import type { ImportId, MasterId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { facts, table } from "./layout.ts";
import { operator, type Session } from "./session.ts";
import { shape } from "./shape.ts";
import { type Cli, type Options, runWith, type Shown, verb } from "./verb.ts";

const aMaster = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";
const SHOWN = 100;

type ImportOptions = Options & { master: MasterId; dryRun?: true; credentials?: string };

export function addImport(subaccount: Command, cli: Cli): void {
  verb(subaccount, "import", "create and change subaccounts from a CSV file, row by row", [
    `subaccount import --master ${aMaster} --dry-run customers.csv`,
    `subaccount import --master ${aMaster} --credentials secrets.csv customers.csv`,
  ])
    .argument("<file>", "its first row names the columns; - reads what is piped in")
    .requiredOption("--master <id>", "their reseller", input.idOf("mas"))
    .option("--dry-run", "say what would be done, and do nothing")
    .option("--credentials <file>", "where the credentials of new ones go; it must not be there yet")
    .action((file: string, { json, ...options }: ImportOptions) =>
      runWith(cli, { ...(json && { json }) }, (session) => importFile(session, file, options)),
    );
}

async function importFile(session: Session, file: string, options: Omit<ImportOptions, "json">): Promise<Shown> {
  const { db, clock } = session;
  const { master: masterId, dryRun: preview = false } = options;
  const planned = await receiveImport(db, operator, bytesOf(file), { preview, masterId }, clock);
  if (!preview) await finishRun(db, planned.id, { ...session, keyring: session.keyring(), publish: session.publish });
  const run = await findRun(db, operator, "import", planned.id);
  const wrong = await listItems(db, run, { wrong: true, limit: SHOWN });
  const handedOver = await handOver(session, run, options.credentials);
  return shown(run, wrong.slice(0, SHOWN), handedOver);
}

function bytesOf(file: string): AsyncIterable<Uint8Array> {
  return file === "-" ? process.stdin : createReadStream(file);
}

/** A file that is readable by its owner only. Undefined: there is nothing to hand over, or nobody asked. */
async function handOver(session: Session, run: Run, file: string | undefined): Promise<string | undefined> {
  if (file === undefined || run.created === 0) return undefined;
  const target = createWriteStream(file, { mode: 0o600, flags: "wx" });
  await new Promise<void>((resolve, reject) => {
    target.once("open", () => resolve());
    target.once("error", (error) => reject(new Fault("conflict", `${file} can't be written: ${error.message}`)));
  });
  const chunks = await takeCredentials(session.db, operator, run.id as ImportId, {
    keyring: session.keyring(),
    clock: session.clock,
    publicUrl: session.config.publicUrl,
  });
  await pipeline(chunks, target);
  return file;
}

function shown(run: Run, wrong: readonly Item[], handedOver: string | undefined): Shown {
  const { state, total, created, changed, unchanged, failed, planned } = run;
  const id = showRunId(run);
  const counts = state === "previewed" ? planned : { created, changed, unchanged, failed };
  const errors = wrong.flatMap(({ line, errors: all }) => all.map((one) => ({ line, ...one })));
  const lines = errors.map(({ line, column, detail }) => [line, column ?? "", detail]);
  const head = facts({ import: id, state, rows: total, ...(counts as object), credentials: handedOver });
  return {
    json: { id, state, total, planned: shape(planned), created, changed, unchanged, failed, errors },
    text: lines.length === 0 ? head : `${head}\n\n${table(["line", "column", "what is wrong"], lines)}`,
    exitCode: failed > 0 || (state === "previewed" && (planned.error ?? 0) > 0) || state === "stopped" ? 1 : 0,
  };
}

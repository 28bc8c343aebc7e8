/** `postmeter subaccount erase|purge`: what was in a closed one goes, for good. */
import type { Command } from "commander";
import { finishErasure } from "../lifecycle/erase.ts";
import { type Erasure, findErasure } from "../lifecycle/erasure.ts";
import { eraseSubaccount, purgeSubaccount } from "../lifecycle/start-erasure.ts";
import { formatId, type SubaccountId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { facts } from "./layout.ts";
import { operator, type Session } from "./session.ts";
import { shape } from "./shape.ts";
import { type Cli, type Options, runWith, type Shown, verb } from "./verb.ts";

const anId = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addErasureCommands(subaccount: Command, cli: Cli): void {
  verb(subaccount, "erase", "contents, addresses and people of a closed one, for good; what was charged stays", [
    `subaccount erase ${anId} --wait`,
  ])
    .argument("<id>", "sub_...", input.idOf("sub"))
    .option("--wait", "do it here and now; without it a running node does it")
    .action((id: SubaccountId, { wait, ...options }: Options & { wait?: true }) =>
      runWith(cli, options, async (session) => {
        const begun = await eraseSubaccount(session.db, operator, id, session.clock);
        await session.publish(id);
        return shown(wait ? await finished(session, begun) : begun);
      }),
    );
  addPurge(subaccount, cli);
}

type PurgeOptions = Options & { dryRun?: true; wait?: true };

function addPurge(subaccount: Command, cli: Cli): void {
  verb(subaccount, "purge", "erase one that was closed longer ago than POSTMETER_RETENTION_CLOSED", [
    `subaccount purge ${anId} --dry-run`,
    `subaccount purge ${anId} --wait`,
  ])
    .argument("<id>", "sub_...", input.idOf("sub"))
    .option("--dry-run", "only say what would go")
    .option("--wait", "do it here and now; without it a running node does it")
    .action((id: SubaccountId, { dryRun, wait, ...options }: PurgeOptions) =>
      runWith(cli, options, async (session) => {
        const { db, clock, config } = session;
        const told = { dryRun: dryRun ?? false, retentionMs: config.retentionClosedMs };
        const { contents, erasure } = await purgeSubaccount(db, operator, id, told, clock);
        if (erasure === null) return { json: { contents, erasure }, text: facts(contents) };
        await session.publish(id);
        const { json, text } = shown(wait ? await finished(session, erasure) : erasure);
        return { json: { contents, erasure: json }, text };
      }),
    );
}

async function finished({ db, clock }: Session, { id }: Erasure): Promise<Erasure> {
  await finishErasure(db, id, clock);
  return findErasure(db, operator, id);
}

function shown({ id, subaccountId, purge, state, total, done, createdAt, finishedAt }: Erasure): Shown {
  const known = { id, subaccountId, purge, state, total, done, createdAt, finishedAt };
  return {
    json: shape(known, "era"),
    text: facts({ erasure: formatId("era", id), state, rows: total ?? undefined, done }),
  };
}

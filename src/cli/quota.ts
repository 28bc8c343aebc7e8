/** `postmeter quota`: limits, top-ups, and Redis against the rows. */
import type { Command } from "commander";
import { changeMaster } from "../accounts/change-master.ts";
import { changeSubaccount } from "../accounts/change-subaccount.ts";
import { findSubaccount } from "../accounts/find.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { reconcile } from "../quota/reconcile.ts";
import { addTopUp } from "../quota/top-up.ts";
import { addCreditCommands } from "./credits.ts";
import * as input from "./input.ts";
import { table } from "./layout.ts";
import { addRateCommands } from "./quota-rate.ts";
import { operator } from "./session.ts";
import { masterShape, shape } from "./shape.ts";
import { shownSubaccount } from "./subaccount-view.ts";
import { type Cli, group, type Options, runWith, verb } from "./verb.ts";

const anId = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addQuotaCommands(program: Command, cli: Cli): void {
  const quota = group(program, "quota", "limits and top-ups");
  addSet(quota, cli);
  addTopUpCommand(quota, cli);
  addRateCommands(quota, cli);
  addCreditCommands(quota, cli);
  addReconcile(quota, cli);
}

function addSet(quota: Command, cli: Cli): void {
  verb(quota, "set", "a subaccount's monthly limit or a master's allowance, from the next message on", [
    `quota set ${anId} 5000`,
    `quota set ${anId} none`,
    "quota set mas_01kb2m5xj7e1fr0x4m4f6a0z3q 100000",
  ])
    .argument("<account>", "sub_... or mas_...", input.account)
    .argument("<units>", "recipients in a period; 0: may not send; none: unlimited", input.unitsOrNone)
    .action((ref: input.AccountRef, given: number | input.None, options: Options) =>
      runWith(cli, options, async ({ db, clock, publish }) => {
        const units = input.orNull(given);
        if (ref.kind === "subaccount") {
          const changed = await changeSubaccount(db, operator, ref.id, { monthlyLimit: units }, {}, clock);
          await publish(ref.id);
          return shownSubaccount(db, changed, clock);
        }
        const master = await changeMaster(db, operator, ref.id, { allowance: units }, {}, clock);
        await publish(ref.id);
        return { json: masterShape(master), text: `${master.name}: allowance ${master.allowance ?? "none"}` };
      }),
    );
}

function addTopUpCommand(quota: Command, cli: Cli): void {
  verb(quota, "top-up", "units for this period only, on top of the limit", [
    `quota top-up ${anId} 500 --note "launch week"`,
  ])
    .argument("<subaccount>", "sub_...", input.idOf("sub"))
    .argument("<units>", "how many", input.whole)
    .option("--note <text>", "why")
    .action((id: SubaccountId, units: number, { note, ...options }: Options & { note?: string }) =>
      runWith(cli, options, async ({ db, clock, publish }) => {
        const subaccount = await findSubaccount(db, operator, id, clock);
        const topUp = await addTopUp(db, operator, subaccount, { units, note }, clock);
        await publish(id);
        const { text } = await shownSubaccount(db, subaccount, clock);
        return { json: shape(topUp, "top"), text };
      }),
    );
}

function addReconcile(quota: Command, cli: Cli): void {
  verb(quota, "reconcile", "compare the counters in Redis with the usage rows, and set right what differs", [
    "quota reconcile",
    "quota reconcile --json",
  ]).action((options: Options) =>
    runWith(cli, options, async ({ database, log, gate }) => {
      const connected = await gate();
      if (connected === undefined) {
        return { json: { redis: false, data: [] }, text: "No Redis is configured: PostgreSQL alone decides." };
      }
      const drifts = await reconcile({ database, gate: connected, log, which: "all" });
      const data = drifts.map(({ accountId, masterId, ...drift }) => {
        const isMaster = accountId === (masterId as string);
        const account = isMaster ? formatId("mas", accountId as MasterId) : formatId("sub", accountId as SubaccountId);
        return { ...(shape(drift) as Record<string, string | number | null>), account };
      });
      const rows = drifts.map((drift, i) => [data[i]?.account, drift.redisUsed, drift.used, drift.redisCap, drift.cap]);
      const header = ["account", "Redis used", "used", "Redis cap", "cap"];
      return { json: { redis: true, data }, text: table(header, rows, "Redis and the usage rows agree.") };
    }),
  );
}

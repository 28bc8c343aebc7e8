/** `postmeter subaccount plan|next-plan|renew`: what becomes of a subaccount. */
import type { Command } from "commander";
import { renewSubaccount } from "../accounts/renew.ts";
import { cancelNextPlan, switchPlan } from "../accounts/switch-plan.ts";
import type { SubaccountId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { operator } from "./session.ts";
import { shownSubaccount } from "./subaccount-view.ts";
import { type Cli, type Options, runWith, verb } from "./verb.ts";

const anId = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addLifecycleCommands(subaccount: Command, cli: Cli): void {
  addPlan(subaccount, cli);
  verb(subaccount, "keep-plan", "call off the plan that was to take over", [`subaccount keep-plan ${anId}`])
    .argument("<id>", "sub_...", input.idOf("sub"))
    .action((id: SubaccountId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) =>
        shownSubaccount(db, await cancelNextPlan(db, operator, id, clock), clock),
      ),
    );
  addRenew(subaccount, cli);
}

type PlanOptions = Options & { nextPeriod?: true; limit?: number | input.None };

function addPlan(subaccount: Command, cli: Cli): void {
  verb(subaccount, "plan", "another plan, now or from the next period", [
    `subaccount plan ${anId} Starter`,
    `subaccount plan ${anId} Starter --next-period`,
  ])
    .argument("<id>", "sub_...", input.idOf("sub"))
    .argument("<plan>", "its name")
    .option("--next-period", "from the first instant of the next period")
    .option("--limit <units>", "instead of the plan's, or none", input.unitsOrNone)
    .action((id: SubaccountId, plan: string, { json, ...given }: PlanOptions) =>
      runWith(cli, { ...(json && { json }) }, async ({ db, clock, publish }) => {
        const { limit: monthlyLimit, nextPeriod } = input.withNulls(given);
        const when = nextPeriod ? "next_period" : "now";
        const changed = await switchPlan(db, operator, id, { plan, when, monthlyLimit }, {}, clock);
        await publish(id);
        return shownSubaccount(db, changed, clock);
      }),
    );
}

type RenewOptions = Options & { months?: number; until?: Date | input.None; plan?: string };

function addRenew(subaccount: Command, cli: Cli): void {
  verb(subaccount, "renew", "another end date; a closed one is reopened", [
    `subaccount renew ${anId} --months 12`,
    `subaccount renew ${anId} --until none --plan Starter`,
  ])
    .argument("<id>", "sub_...", input.idOf("sub"))
    .option("--months <n>", "from its end date, or from now", input.whole)
    .option("--until <time>", "an end date, or none", input.instantOrNone)
    .option("--plan <plan>", "another plan, from now on")
    .action((id: SubaccountId, { json, ...given }: RenewOptions) =>
      runWith(cli, { ...(json && { json }) }, async ({ db, clock, publish }) => {
        const { months, until: expiresAt, plan } = input.withNulls(given);
        const changed = await renewSubaccount(db, operator, id, { months, expiresAt, plan }, {}, clock);
        await publish(id);
        return shownSubaccount(db, changed, clock);
      }),
    );
}

/** `postmeter plan`: what a reseller sells. */
import { type Command, InvalidArgumentError } from "commander";
import type { PlanTerms } from "../accounts/plan-fields.ts";
import { cycles } from "../accounts/plan-fields.ts";
import { createPlan, findPlan, listPlans, withdrawPlan } from "../accounts/plans.ts";
import { formatId, type MasterId, type PlanId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { table } from "./layout.ts";
import { operator } from "./session.ts";
import { shape } from "./shape.ts";
import { type Cli, group, type Options, runWith, verb } from "./verb.ts";

const aPlan = "plan_01kb2m5xj7e1fr0x4m4f6a0z3q";
const aMaster = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addPlanCommands(program: Command, cli: Cli): void {
  const plan = group(program, "plan", "what a reseller sells: limit, features and price under a name");
  addList(plan, cli);
  addCreate(plan, cli);
  verb(plan, "withdraw", "give it to nobody any more; who has it keeps it", [`plan withdraw ${aPlan}`])
    .argument("<id>", "plan_...", input.idOf("plan"))
    .action((id: PlanId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        await withdrawPlan(db, operator, id, clock);
        const { name } = await findPlan(db, operator, id);
        return { json: { id: formatId("plan", id), withdrawn: true }, text: `${name} is withdrawn.` };
      }),
    );
}

function addList(plan: Command, cli: Cli): void {
  verb(plan, "list", "plans that can be chosen", [`plan list --master ${aMaster}`])
    .option("--master <id>", "of one master", input.idOf("mas"))
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action(({ master: masterId, limit, ...options }: Options & { master?: MasterId; limit: number }) =>
      runWith(cli, options, async ({ db }) => {
        const plans = (await listPlans(db, operator, { masterId, limit })).slice(0, limit);
        const rows = plans.map(({ id, name, n, terms }) => [
          formatId("plan", id),
          name,
          n,
          terms.monthlyLimit ?? "none",
          terms.price === null ? "-" : `${terms.price.amountMinor} ${terms.price.currency} ${terms.cycle}`,
        ]);
        return {
          json: { data: plans.map((one) => shape(one, "plan")) },
          text: table(["id", "name", "version", "limit", "price (minor units)"], rows, "There is no plan."),
        };
      }),
    );
}

type CreateOptions = Options & {
  master: MasterId;
  name: string;
  limit: number | input.None | "custom";
  price?: PlanTerms["price"];
  cycle: PlanTerms["cycle"];
};

function addCreate(plan: Command, cli: Cli): void {
  verb(plan, "create", "a plan, in its first version", [
    `plan create --master ${aMaster} --name Starter --limit 10000 --price 1900,EUR`,
    `plan create --master ${aMaster} --name Individual --limit custom`,
  ])
    .requiredOption("--master <id>", "whose it is", input.idOf("mas"))
    .requiredOption("--name <name>", "by which subaccounts are known")
    .requiredOption("--limit <units>", "recipients in a period, none, or custom: each brings its own", (text) =>
      text === "custom" ? text : input.unitsOrNone(text),
    )
    .option("--price <minor,currency>", "in the smallest unit, e.g. 1900,EUR", priceOf)
    .option("--cycle <cycle>", cycles.join(" or "), "monthly")
    .action(({ json, ...options }: CreateOptions) =>
      runWith(cli, { ...(json && { json }) }, async ({ db, clock }) => {
        const { master: masterId, name, limit: monthlyLimit, price = null, cycle } = input.withNulls(options);
        const wanted = { masterId, name, monthlyLimit, price, cycle, features: {} };
        const made = await createPlan(db, operator, wanted, clock);
        return { json: shape(made, "plan"), text: `${formatId("plan", made.id)}  ${made.name}` };
      }),
    );
}

function priceOf(text: string): PlanTerms["price"] {
  const [, amount, currency] = /^(\d{1,13}),([A-Z]{3})$/.exec(text) ?? [];
  if (amount === undefined || currency === undefined) throw new InvalidArgumentError("It must be like 1900,EUR.");
  return { amountMinor: Number(amount), currency };
}

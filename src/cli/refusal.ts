/** `postmeter refusal`: what was refused and why. */
import type { Command } from "commander";
import { listRefusals, type RefusalFilter } from "../metering/list-refusals.ts";
import { refusalReasons } from "../metering/refusals.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { table } from "./layout.ts";
import { operator } from "./session.ts";
import { page, shape } from "./shape.ts";
import { type Cli, group, type Options, runWith, verb } from "./verb.ts";

type ListOptions = Options &
  Pick<RefusalFilter, "limit"> & {
    master?: MasterId;
    subaccount?: SubaccountId;
    reason?: RefusalFilter["reasons"];
    since?: Date;
    until?: Date;
  };

export function addRefusalCommands(program: Command, cli: Cli): void {
  const refusal = group(program, "refusal", "what was refused, by minute and reason");
  verb(refusal, "list", "newest first, with the first message of each minute", [
    "refusal list --subaccount sub_01kb2m5xj7e1fr0x4m4f6a0z3q",
    "refusal list --reason rate,quota-subaccount --since 2026-11-22T09:00:00Z",
  ])
    .option("--master <id>", "of one master", input.idOf("mas"))
    .option("--subaccount <id>", "of one subaccount", input.idOf("sub"))
    .option("--reason <reasons>", refusalReasons.join(", "), input.listOf(refusalReasons))
    .option("--since <time>", "from then on", input.instant)
    .option("--until <time>", "before then", input.instant)
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action(({ json, master, subaccount, reason, ...times }: ListOptions) =>
      runWith(cli, { ...(json && { json }) }, async ({ db }) => {
        const filter = { ...times, masterId: master, subaccountId: subaccount, reasons: reason };
        const { items, more } = page(await listRefusals(db, operator, filter), times.limit);
        const rows = items.map((one) => [
          one.minute,
          formatId("sub", one.subaccountId),
          one.reason,
          one.messages,
          one.units,
          one.sample.detail,
        ]);
        return {
          json: { data: items.map(({ id: _, ...one }) => shape(one)), has_more: more },
          text: table(
            ["minute", "subaccount", "reason", "messages", "units", "first answer"],
            rows,
            "Nothing was refused.",
          ),
        };
      }),
    );
}

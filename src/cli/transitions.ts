/** `postmeter subaccount close|reopen|...`: the verbs of the state machine. */
import type { Command } from "commander";
import { type TransitionOptions, transitionSubaccount } from "../accounts/transition.ts";
import type { SubaccountId } from "../platform/ids.ts";
import { idOf } from "./input.ts";
import { operator } from "./session.ts";
import { shownSubaccount } from "./subaccount-view.ts";
import { type Cli, type Options, runWith, verb } from "./verb.ts";

const summaries = {
  close: "accept nothing any more; what was accepted is still delivered",
  reopen: "as it was before it was closed",
  archive: "put a closed one away",
  disable: "accept nothing for now",
  enable: "end that",
  suspend: "by the operator: accept nothing, hold its queue",
  resume: "end a suspension",
} as const;

type Name = keyof typeof summaries;

export function addSubaccountTransitions(subaccount: Command, cli: Cli): void {
  for (const name of Object.keys(summaries) as Name[]) {
    const command = verb(subaccount, name, summaries[name], [
      `subaccount ${name} sub_01kb2m5xj7e1fr0x4m4f6a0z3q`,
    ]).argument("<id>", "sub_...", idOf("sub"));
    if (name === "reopen") command.option("--rotate", "with new credentials: all old ones and keys are revoked");
    if (name === "disable") command.option("--message <text>", "shown in refusals");
    command.action((id: SubaccountId, options: Options & { rotate?: true; message?: string }) =>
      runWith(cli, options, async ({ db, clock, publish }) => {
        const told: TransitionOptions = { rotate: options.rotate, publicMessage: options.message };
        const changed = await transitionSubaccount(db, operator, id, name, told, clock);
        await publish(id);
        return shownSubaccount(db, changed, clock);
      }),
    );
  }
}

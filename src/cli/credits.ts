/** `postmeter quota credits`: packs that a master has bought, and what of them is given to a subaccount. */
import type { Command } from "commander";
import { findSubaccount } from "../accounts/find.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { addPack, allocateCredits, listPacks } from "../quota/credits.ts";
import * as input from "./input.ts";
import { table } from "./layout.ts";
import { operator } from "./session.ts";
import { page, shape } from "./shape.ts";
import { shownSubaccount } from "./subaccount-view.ts";
import { type Cli, group, type Options, runWith, verb } from "./verb.ts";

const aMaster = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addCreditCommands(quota: Command, cli: Cli): void {
  const credits = group(quota, "credits", "units that a master has bought ahead");
  addBuy(credits, cli);
  verb(credits, "list", "packs of a master, oldest first", [`quota credits list --master ${aMaster}`])
    .option("--master <id>", "of one master", input.idOf("mas"))
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action(({ master: masterId, limit, ...options }: Options & { master?: MasterId; limit: number }) =>
      runWith(cli, options, async ({ db }) => {
        const { items, more } = page(await listPacks(db, operator, { masterId, limit }), limit);
        const rows = items.map((one) => [
          formatId("pack", one.id),
          formatId("mas", one.masterId),
          one.units,
          one.allocated,
          one.left,
          one.expiresAt,
        ]);
        const header = ["id", "master", "units", "given", "left", "expires"];
        const json = { data: items.map((one) => shape(one, "pack")), has_more: more };
        return { json, text: table(header, rows, "There are no credits.") };
      }),
    );
  verb(credits, "give", "to a subaccount, those that expire first", [
    "quota credits give sub_01kb2m5xj7e1fr0x4m4f6a0z3q 500",
  ])
    .argument("<subaccount>", "sub_...", input.idOf("sub"))
    .argument("<units>", "how many", input.whole)
    .action((id: SubaccountId, units: number, options: Options) =>
      runWith(cli, options, async ({ db, clock, publish }) => {
        const subaccount = await findSubaccount(db, operator, id, clock);
        await allocateCredits(db, operator, subaccount, units, clock);
        await publish(id);
        return shownSubaccount(db, subaccount, clock);
      }),
    );
}

type BuyOptions = Options & { note?: string; expiresAt?: Date | null };

function addBuy(credits: Command, cli: Cli): void {
  verb(credits, "add", "a pack that a master has bought", [
    `quota credits add ${aMaster} 10000 --expires-at 2027-12-31`,
  ])
    .argument("<master>", "mas_...", input.idOf("mas"))
    .argument("<units>", "how many", input.whole)
    .option("--expires-at <time>", "what is not spent by then is lost", input.instant)
    .option("--note <text>", "why")
    .action((masterId: MasterId, units: number, { note, expiresAt, ...options }: BuyOptions) =>
      runWith(cli, options, async ({ db, clock }) => {
        const pack = await addPack(db, operator, { masterId, units, note, expiresAt }, clock);
        return { json: shape(pack, "pack"), text: `${formatId("pack", pack.id)}: ${pack.units} units` };
      }),
    );
}

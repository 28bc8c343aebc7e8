/** `postmeter rate-card`: what the operator sells to masters, and a master to its subaccounts. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { formatId, type MasterId, type RateCardId } from "../platform/ids.ts";
import { showMoney } from "../prices/money.ts";
import { findRateCard, listRateCards, type RateCard } from "../prices/rate-card.ts";
import { changeRateCard, createRateCard, withdrawRateCard } from "../prices/rate-cards.ts";
import { shownTerms } from "../prices/shown.ts";
import { type PriceCycle, type PriceTerms, priceCycles } from "../prices/terms.ts";
import * as input from "./input.ts";
import { table } from "./layout.ts";
import { operator } from "./session.ts";
import { shape } from "./shape.ts";
import { type Cli, group, type Options, runWith, type Shown, verb } from "./verb.ts";

const aCard = "rat_01kb2m5xj7e1fr0x4m4f6a0z3q";
const aMaster = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addRateCardCommands(program: Command, cli: Cli): void {
  const card = group(
    program,
    "rate-card",
    "what accounts pay by: price per cycle, units in it, and what more of them cost",
  );
  addList(card, cli);
  addCreate(card, cli);
  addChange(card, cli);
  verb(card, "withdraw", "give it to nobody any more; who has it keeps it", [`rate-card withdraw ${aCard}`])
    .argument("<id>", "rat_...", input.idOf("rat"))
    .action((id: RateCardId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        await withdrawRateCard(db, operator, id, clock);
        const { name } = await findRateCard(db, operator, id);
        return { json: { id: formatId("rat", id), withdrawn: true }, text: `${name} is withdrawn.` };
      }),
    );
}

function addList(card: Command, cli: Cli): void {
  verb(card, "list", "cards that can be given: the operator's, or a master's", [
    "rate-card list",
    `rate-card list --master ${aMaster}`,
  ])
    .option("--master <id>", "a master's, for its subaccounts", input.idOf("mas"))
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action(({ master: masterId, limit, ...options }: Options & { master?: MasterId; limit: number }) =>
      runWith(cli, options, async ({ db }) => {
        const cards = (await listRateCards(db, operator, { masterId, limit })).slice(0, limit);
        const rows = cards.map(({ id, name, n, terms, defaultN }) => [
          formatId("rat", id),
          name,
          n,
          ...termCells(terms),
          defaultN === null ? "" : `default, version ${defaultN}`,
        ]);
        const header = ["id", "name", "version", ...termHeads, ""];
        return { json: { data: cards.map(cardShape) }, text: table(header, rows, "There is no rate card.") };
      }),
    );
}

type TermOptions = {
  cycle?: PriceCycle;
  included?: number | input.None;
  overage?: string;
  ceiling?: number | input.None;
};

function withTerms(command: Command): Command {
  return command
    .addOption(new Option("--cycle <cycle>", "of the price").choices(priceCycles))
    .option("--included <units>", "in each period, or none: all are included", input.unitsOrNone)
    .option("--overage <rate>", "of 1,000 units above those, in the smallest unit, exact: 35, 0.35 or 1/3")
    .option("--ceiling <minor>", "what those cost at most in a period, or none", input.unitsOrNone);
}

type CreateOptions = Options &
  TermOptions & { name: string; price: Pick<PriceTerms, "priceMinor" | "currency">; master?: MasterId; default?: true };

function addCreate(card: Command, cli: Cli): void {
  const command = verb(card, "add", "a rate card, in its first version", [
    "rate-card add --name Reseller --price 9900,EUR --included 100000 --overage 35",
    `rate-card add --master ${aMaster} --name Standard --price 1900,EUR --default`,
  ])
    .requiredOption("--name <name>", "which stays")
    .requiredOption("--price <minor,currency>", "per cycle, in the smallest unit, e.g. 1900,EUR", priceOf);
  withTerms(command)
    .option("--master <id>", "a master's own, for its subaccounts", input.idOf("mas"))
    .option("--default", "for subaccounts of that master with neither a card nor a plan with a price")
    .action(({ json, ...options }: CreateOptions) =>
      runWith(cli, { ...(json && { json }) }, async ({ db, clock }) => {
        const {
          name,
          price,
          master: masterId,
          default: isDefault,
          cycle = "month",
          ...rest
        } = input.withNulls(options);
        const { included: includedUnits = null, ceiling: ceilingMinor = null, overage: overagePer1000 = "0" } = rest;
        const terms = { ...price, cycle, includedUnits, overagePer1000, ceilingMinor };
        return shownCard(await createRateCard(db, operator, { name, masterId, isDefault, ...terms }, clock));
      }),
    );
}

type ChangeOptions = Options & TermOptions & { price?: number; default?: boolean; existing?: true };

function addChange(card: Command, cli: Cli): void {
  const command = verb(card, "change", "new terms: the next version", [
    `rate-card change ${aCard} --price 10900`,
    `rate-card change ${aCard} --overage 1/3 --existing`,
  ])
    .argument("<id>", "rat_...", input.idOf("rat"))
    .option("--price <minor>", "per cycle, in the smallest unit", input.whole);
  withTerms(command)
    .option("--default", "for subaccounts with neither a card nor a plan with a price")
    .option("--no-default", "not any more")
    .option("--existing", "the newest version rules from now on for all that have the card")
    .action((id: RateCardId, { json, ...options }: ChangeOptions) =>
      runWith(cli, { ...(json && { json }) }, async ({ db, clock }) => {
        const { price: priceMinor, default: isDefault, existing: applyToExisting, ...rest } = input.withNulls(options);
        const { included: includedUnits, ceiling: ceilingMinor, overage: overagePer1000, cycle } = rest;
        const terms = { priceMinor, cycle, includedUnits, overagePer1000, ceilingMinor };
        return shownCard(await changeRateCard(db, operator, id, { ...terms, isDefault, applyToExisting }, {}, clock));
      }),
    );
}

export const termHeads = ["price", "cycle", "included", "per 1,000 more", "at most"];

export function termCells(terms: PriceTerms): string[] {
  const { priceMinor, currency, cycle, includedUnits, overagePer1000, ceilingMinor } = terms;
  return [
    showMoney(priceMinor, currency),
    cycle,
    includedUnits === null ? "all" : String(includedUnits),
    overagePer1000,
    ceilingMinor === null ? "-" : showMoney(ceilingMinor, currency),
  ];
}

/** As the API shows it. */
function cardShape({ id, masterId, name, n, terms, defaultN, ...card }: RateCard): Record<string, unknown> {
  return {
    id: formatId("rat", id),
    master_id: masterId === null ? null : formatId("mas", masterId),
    name,
    card_version: n,
    ...shownTerms(terms),
    is_default: defaultN !== null,
    default_version: defaultN,
    ...(shape(card) as object),
  };
}

function shownCard(card: RateCard): Shown {
  const text = table(
    ["id", "name", "version", ...termHeads],
    [[formatId("rat", card.id), card.name, card.n, ...termCells(card.terms)]],
  );
  return { json: cardShape(card), text };
}

function priceOf(text: string): Pick<PriceTerms, "priceMinor" | "currency"> {
  const [, amount, currency] = /^(\d{1,13}),([A-Z]{3})$/.exec(text) ?? [];
  if (amount === undefined || currency === undefined) throw new InvalidArgumentError("It must be like 1900,EUR.");
  return { priceMinor: Number(amount), currency };
}

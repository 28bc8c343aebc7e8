/** `postmeter price`: what a master or a subaccount pays by, and what a change would come to. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Quote, quotePrice } from "../metering/quote-price.ts";
import { parseId, type RateCardId } from "../platform/ids.ts";
import { cancelNextPrice, choosePrice, type Payer } from "../prices/choose-price.ts";
import { showMoney } from "../prices/money.ts";
import { readPrice } from "../prices/read-price.ts";
import { shownPrice } from "../prices/shown.ts";
import * as input from "./input.ts";
import { facts, instant, table } from "./layout.ts";
import { termCells, termHeads } from "./rate-card.ts";
import { operator, type Session } from "./session.ts";
import { shape } from "./shape.ts";
import { type Cli, group, type Options, runWith, type Shown, verb } from "./verb.ts";

const aCard = "rat_01kb2m5xj7e1fr0x4m4f6a0z3q";
const aMaster = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";
const aSubaccount = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addPriceCommands(program: Command, cli: Cli): void {
  const price = group(program, "price", "what a master pays the operator, and a subaccount its master");
  addShow(price, cli);
  addAssign(price, cli);
  addQuote(price, cli);
  addCancel(price, cli);
}

function addShow(price: Command, cli: Cli): void {
  verb(price, "show", "what rules, and what did", [`price show ${aMaster}`])
    .argument("<account>", "mas_... or sub_...", payer)
    .action((of: Payer, options: Options) => runWith(cli, options, (session) => shown(session, of)));
}

type ChangeOptions = Options & {
  card?: RateCardId | input.None;
  discount?: number;
  from: "now" | "next_period";
};

function withChange(command: Command): Command {
  return command
    .argument("<account>", "mas_... or sub_...", payer)
    .option("--card <id>", "rat_..., or none of its own", (text) =>
      text === "none" ? input.textOrNone(text) : input.idOf("rat")(text),
    )
    .option("--discount <bp>", "ten-thousandths that are taken off", input.whole)
    .addOption(new Option("--from <instant>", "when it rules").choices(["now", "next_period"]).default("now"));
}

function addAssign(price: Command, cli: Cli): void {
  withChange(
    verb(price, "assign", "a rate card, in the version that it has now, or a discount", [
      `price assign ${aMaster} --card ${aCard} --discount 500`,
      `price assign ${aSubaccount} --card none --from next_period`,
    ]),
  ).action((of: Payer, { json, ...options }: ChangeOptions) =>
    runWith(cli, { ...(json && { json }) }, async (session) => {
      const { card: rateCardId, discount: discountBp, from } = input.withNulls(options);
      await choosePrice(session.db, operator, of, { rateCardId, discountBp, from }, {}, session.clock);
      return shown(session, of);
    }),
  );
}

function addQuote(price: Command, cli: Cli): void {
  withChange(
    verb(price, "quote", "what a change would come to; nothing is changed", [
      `price quote ${aMaster} --card ${aCard}`,
      `price quote ${aSubaccount} --plan Business`,
    ]),
  )
    .option("--plan <name>", "another plan, of a subaccount")
    .action((of: Payer, { json, ...options }: ChangeOptions & { plan?: string }) =>
      runWith(cli, { ...(json && { json }) }, async ({ db, clock }) => {
        const { card: rateCardId, discount: discountBp, from, plan } = input.withNulls(options);
        const quote = await quotePrice(db, operator, of, { rateCardId, discountBp, from, plan }, clock);
        return { json: shape(quote), text: quoteText(quote) };
      }),
    );
}

function addCancel(price: Command, cli: Cli): void {
  verb(price, "cancel-next", "call off what was to rule from the next period", [`price cancel-next ${aMaster}`])
    .argument("<account>", "mas_... or sub_...", payer)
    .action((of: Payer, options: Options) =>
      runWith(cli, options, async (session) => {
        await cancelNextPrice(session.db, operator, of, session.clock);
        return shown(session, of);
      }),
    );
}

function payer(text: string): Payer {
  const master = parseId("mas", text);
  if (master !== undefined) return { master };
  const subaccount = parseId("sub", text);
  if (subaccount !== undefined) return { subaccount };
  throw new InvalidArgumentError("It must be the id of a master (mas_...) or of a subaccount (sub_...).");
}

async function shown({ db, clock }: Session, of: Payer): Promise<Shown> {
  const price = await readPrice(db, operator, of, clock);
  const { now, next, history, profileCurrency } = price;
  const rows = history.map(({ from, until, source, of: id, n, discountBp: bp, terms }) => {
    const span = [instant(from), until === null ? "-" : instant(until)];
    return [...span, source, id, n, ...termCells(terms), bp];
  });
  const header = ["from", "until", "by", "id", "version", ...termHeads, "discount bp"];
  const text = table(header, rows, "It has no price.");
  const differs = (now ?? next)?.terms.currency;
  return { json: shownPrice(price), text: [text, ...otherCurrency(differs, profileCurrency)].join("\n") };
}

function otherCurrency(currency: string | null | undefined, profileCurrency: string | null): string[] {
  if (currency == null || profileCurrency === null || currency === profileCurrency) return [];
  return [`Its billing profile is in ${profileCurrency}, this price in ${currency}.`];
}

function quoteText(quote: Quote): string {
  const { currency, proration, due, nextCycleAt, profileCurrency } = quote;
  const money = (minor: number) => (currency === null ? undefined : showMoney(minor, currency));
  return facts({
    value: money(quote.valueMinor),
    discount: money(quote.discountMinor),
    "price per cycle": money(quote.pricePerCycleMinor) ?? "none",
    for: proration === null ? undefined : `${instant(proration.from)} to ${instant(proration.until)}`,
    seconds: proration === null ? undefined : `${proration.seconds} of ${proration.ofSeconds}`,
    "asked for it": proration === null ? undefined : money(proration.amountMinor),
    credited:
      proration === null || proration.creditedCurrency === null
        ? undefined
        : showMoney(proration.creditedMinor, proration.creditedCurrency),
    "due now": due.map((one) => showMoney(one.amountMinor, one.currency)).join(", ") || "nothing",
    "next cycle": nextCycleAt ?? "-",
    note: otherCurrency(currency, profileCurrency)[0],
  });
}

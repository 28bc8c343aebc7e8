/** Rate cards and prices on the command line. */
import { expect, test } from "vitest";
import { houseWithAccounts } from "./house.ts";

const { run, json, mas, sub } = await houseWithAccounts();

test("the operator sells to a master: card, quote, price", async () => {
  const terms = ["--included", "100000", "--overage", "1/3", "--ceiling", "50000"];
  const card = await json("rate-card", "add", "--name", "Reseller", "--price", "9900,EUR", ...terms);
  expect(card).toMatchObject({
    master_id: null,
    card_version: 1,
    currency: "EUR",
    price_minor: 9900,
    cycle: "month",
    included_units: 100_000,
    overage_per_1000: "1/3",
    ceiling_minor: 50_000,
  });
  const quote = await json("price", "quote", mas, "--card", card.id, "--discount", "1000");
  expect(quote).toMatchObject({ currency: "EUR", value_minor: 9900, price_per_cycle_minor: 8910 });
  expect((await json("price", "show", mas)).now).toBeNull();
  const given = await json("price", "assign", mas, "--card", card.id, "--discount", "1000");
  expect(given).toMatchObject({ rate_card_id: card.id, now: { source_id: card.id, price_minor: 9900 } });
  const changed = await json("rate-card", "change", card.id, "--price", "10900", "--existing");
  expect(changed).toMatchObject({ card_version: 2, price_minor: 10_900 });
  expect((await json("price", "show", mas)).now).toMatchObject({ source_version: 2, price_minor: 10_900 });
  const { out } = await run("price", "show", mas);
  expect(out).toContain("109.00 EUR");
  await json("price", "assign", mas, "--card", "none", "--from", "next_period");
  expect((await json("price", "cancel-next", mas)).now.until).toBeNull();
  expect(await json("rate-card", "withdraw", card.id)).toMatchObject({ withdrawn: true });
  const refused = await run("price", "assign", mas, "--card", card.id);
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("is withdrawn") });
});

test("a master's card is the default of its subaccounts", async () => {
  const price = ["--price", "1900,JPY"];
  const card = await json("rate-card", "add", "--master", mas, "--name", "Standard", ...price, "--default");
  expect(await json("price", "show", sub)).toMatchObject({ rate_card_id: null, now: { source: "default" } });
  expect((await run("rate-card", "list", "--master", mas)).out).toContain("1900 JPY");
  const { revenue, groups } = await json("statement", "show", mas);
  expect(revenue).toMatchObject([{ currency: "JPY" }]);
  expect(groups).toMatchObject([{ revenue, costs: [{ currency: "EUR" }] }]);
  expect((await run("price", "quote", sub, "--discount", "500")).out).toMatch(/price per cycle +1805 JPY/);
  await json("rate-card", "change", card.id, "--no-default");
  expect((await json("price", "show", sub)).now).toBeNull();
});

test.each([
  [["rate-card", "add", "--name", "x", "--price", "19.00,EUR"]],
  [["rate-card", "add", "--name", "x", "--price", "1900,EUR", "--cycle", "week"]],
  [["price", "show", "plan_x"]],
  [["price", "assign", mas, "--from", "then"]],
])("%j is wrong usage", async (argv) => {
  expect((await run(...argv)).code).toBe(2);
});

test.each([
  [["rate-card", "add", "--name", "x", "--price", "1900,EUR", "--overage", "0,35"]],
  [["rate-card", "add", "--name", "x", "--price", "1900,XXQ"]],
  [["price", "assign", mas, "--discount", "10001"]],
  [["price", "assign", mas, "--card", "rat_01kb2m5xj7e1fr0x4m4f6a0z3q"]],
])("%j fails and says why", async (argv) => {
  expect(await run(...argv)).toMatchObject({ code: 1, err: expect.stringMatching(/\w/) });
});

/** What an account pays by: what the operator asks of a master, and a master of a subaccount. */
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { cancelNextPrice, choosePrice, type Payer } from "../prices/choose-price.ts";
import { readPrice } from "../prices/read-price.ts";
import { shownPrice } from "../prices/shown.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, operatorOnly, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { idParams } from "./fields.ts";
import { changeOf, priceChange, priceShape } from "./price-shape.ts";

const tag = "Prices";
const scopes = ["billing", "read"] as const;
const given =
  "A card is given in the version that it has now. A price rules from a whole second on; what it comes to in a period is reckoned by the second.";

export function priceEndpoints(deps: Deps): Endpoint[] {
  return [...ofSubaccounts(deps), ...ofMasters(deps), ofCaller(deps)];
}

function ofSubaccounts({ clock }: Deps): Endpoint[] {
  const one = { tag, params: idParams("sub"), status: 200, answer: priceShape } as const;
  const path = "/v1/subaccounts/{id}/price";
  const changing = { who: owners, scopes: [] } as const;
  return [
    endpoint(
      { ...one, method: "get", path, summary: "What a subaccount pays by", access: { who: owners, scopes } },
      ({ db, principal, params }) => shown(db, principal, { subaccount: params.id }, clock),
    ),
    endpoint(
      {
        ...one,
        method: "put",
        path,
        summary: "Give a subaccount a rate card or a discount",
        description: `${given} Without a card it pays its plan's price, else what the master's default says.`,
        access: changing,
        body: priceChange,
      },
      async ({ db, principal, params, body, ifMatch }) => {
        const payer = { subaccount: params.id };
        const version = await versionFor(ifMatch, async () => (await readPrice(db, principal, payer, clock)).choice);
        await choosePrice(db, principal, payer, changeOf(body), { version }, clock);
        return shown(db, principal, payer, clock);
      },
    ),
    endpoint(
      {
        ...one,
        method: "delete",
        path: "/v1/subaccounts/{id}/next_price",
        summary: "Call off the card or discount that was to rule from the next period",
        description: "A plan that is to take over is called off by `DELETE /v1/subaccounts/{id}/next_plan`.",
        access: changing,
      },
      async ({ db, principal, params }) => {
        const payer = { subaccount: params.id };
        await cancelNextPrice(db, principal, payer, clock);
        return shown(db, principal, payer, clock);
      },
    ),
  ];
}

function ofMasters({ clock }: Deps): Endpoint[] {
  const one = { tag, params: idParams("mas"), status: 200, answer: priceShape } as const;
  const path = "/v1/masters/{id}/price";
  const changing = { who: operatorOnly, scopes: [] } as const;
  return [
    endpoint(
      { ...one, method: "get", path, summary: "What a master pays by", access: { who: operatorOnly, scopes } },
      ({ db, principal, params }) => shown(db, principal, { master: params.id }, clock),
    ),
    endpoint(
      {
        ...one,
        method: "put",
        path,
        summary: "Give a master a rate card of the operator, or a discount",
        description: given,
        access: changing,
        body: priceChange,
      },
      async ({ db, principal, params, body, ifMatch }) => {
        const payer = { master: params.id };
        const version = await versionFor(ifMatch, async () => (await readPrice(db, principal, payer, clock)).choice);
        await choosePrice(db, principal, payer, changeOf(body), { version }, clock);
        return shown(db, principal, payer, clock);
      },
    ),
    endpoint(
      {
        ...one,
        method: "delete",
        path: "/v1/masters/{id}/next_price",
        summary: "Call off what was to rule for a master from the next period",
        access: changing,
      },
      async ({ db, principal, params }) => {
        const payer = { master: params.id };
        await cancelNextPrice(db, principal, payer, clock);
        return shown(db, principal, payer, clock);
      },
    ),
  ];
}

function ofCaller({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/account/price",
      tag,
      summary: "What the operator asks of this master",
      access: { who: ["master"], scopes },
      status: 200,
      answer: priceShape,
    },
    ({ db, principal }) => shown(db, principal, { master: principal.masterId }, clock),
  );
}

async function shown(db: Db, principal: Principal, payer: Payer, clock: Clock) {
  const price = await readPrice(db, principal, payer, clock);
  return { body: shownPrice(price), version: price.choice.version };
}

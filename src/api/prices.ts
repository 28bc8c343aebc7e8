/** What an account pays by: what the operator asks of a master, and a master of a subaccount. */
import type { z } from "@hono/zod-openapi";
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
  return [
    ...ofPayers(deps, {
      params: idParams("sub"),
      at: "/v1/subaccounts/{id}",
      who: owners,
      payer: (subaccount) => ({ subaccount }),
      show: { summary: "What a subaccount pays by" },
      give: {
        summary: "Give a subaccount a rate card or a discount",
        description: `${given} Without a card it pays its plan's price, else what the master's default says.`,
      },
      callOff: {
        summary: "Call off the card or discount that was to rule from the next period",
        description: "A plan that is to take over is called off by `DELETE /v1/subaccounts/{id}/next_plan`.",
      },
    }),
    ...ofPayers(deps, {
      params: idParams("mas"),
      at: "/v1/masters/{id}",
      who: operatorOnly,
      payer: (master) => ({ master }),
      show: { summary: "What a master pays by" },
      give: { summary: "Give a master a rate card of the operator, or a discount", description: given },
      callOff: { summary: "Call off what was to rule for a master from the next period" },
    }),
    ofCaller(deps),
  ];
}

type Texts = Readonly<{ summary: string; description?: string }>;
type Payers<Id> = Readonly<{
  params: z.ZodType<{ id: Id }>;
  at: `/v1/${string}`;
  who: typeof owners | typeof operatorOnly;
  payer(id: Id): Payer;
  show: Texts;
  give: Texts;
  callOff: Texts;
}>;

function ofPayers<Id>({ clock }: Deps, { params, at, who, payer, show, give, callOff }: Payers<Id>): Endpoint[] {
  const one = { tag, params, status: 200, answer: priceShape } as const;
  const path = `${at}/price` as const;
  const changing = { who, scopes: [] } as const;
  return [
    endpoint({ ...one, ...show, method: "get", path, access: { who, scopes } }, ({ db, principal, params: { id } }) =>
      shown(db, principal, payer(id), clock),
    ),
    endpoint(
      { ...one, ...give, method: "put", path, access: changing, body: priceChange },
      async ({ db, principal, params: { id }, body, ifMatch }) => {
        const version = await versionFor(
          ifMatch,
          async () => (await readPrice(db, principal, payer(id), clock)).choice,
        );
        await choosePrice(db, principal, payer(id), changeOf(body), { version }, clock);
        return shown(db, principal, payer(id), clock);
      },
    ),
    endpoint(
      { ...one, ...callOff, method: "delete", path: `${at}/next_price` as const, access: changing },
      async ({ db, principal, params: { id } }) => {
        await cancelNextPrice(db, principal, payer(id), clock);
        return shown(db, principal, payer(id), clock);
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

/** When limits and allowances will be used up. */
import { readForecast, readMasterForecast } from "../metering/read-forecast.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idParams } from "./fields.ts";
import { forecastShape, showForecast } from "./forecast-shape.ts";

const tag = "Usage";
const description =
  "From the last 28 days by weekday, with a band that holds four of five outcomes. Days are those of the master's time zone.";

export function forecastEndpoints({ clock }: Deps): Endpoint[] {
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/subaccounts/{id}/forecast",
        tag,
        summary: "When a subaccount will have used its limit",
        description,
        access: { who: everyone, scopes: ["read", "billing", "send"] },
        params: idParams("sub"),
        status: 200,
        answer: forecastShape,
      },
      async ({ db, principal, params }) => ({
        body: showForecast(await readForecast(db, principal, params.id, clock)),
      }),
    ),
    endpoint(
      {
        method: "get",
        path: "/v1/forecast",
        tag,
        summary: "When the caller will have used its allowance or limit",
        description,
        access: { who: ["master", "subaccount"], scopes: ["read", "billing", "send"] },
        status: 200,
        answer: forecastShape,
      },
      async ({ db, principal }) => ({
        body: showForecast(
          principal.kind === "subaccount"
            ? await readForecast(db, principal, principal.subaccountId, clock)
            : await readMasterForecast(db, principal, undefined, clock),
        ),
      }),
    ),
  ];
}

/** What is done to a subaccount as a whole: its states, and units added to its period. */
import { z } from "@hono/zod-openapi";
import { findSubaccount } from "../accounts/find.ts";
import type { Action } from "../accounts/states.ts";
import { type TransitionOptions, transitionSubaccount } from "../accounts/transition.ts";
import { addTopUp } from "../quota/top-up.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, type Kind, operatorOnly, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { idParams, instant, line, noMembers, showId, showInstant, shownId, text, units } from "./fields.ts";
import { subaccountShape } from "./subaccount-shape.ts";
import { shownSubaccount } from "./subaccounts.ts";
import { periodShape, showPeriod } from "./usage-shape.ts";

const tag = "Subaccounts";

const disabling = z
  .strictObject({
    public_message: line(200).nullable().optional().openapi({ description: "Shown in refusals." }),
  })
  .openapi({ example: { public_message: "Your invoice is open" } });
const reopening = z
  .strictObject({
    rotate: z.boolean().optional().openapi({ description: "All its credentials and keys are revoked." }),
  })
  .openapi({ example: { rotate: true } });

export function transitionEndpoints(deps: Deps): Endpoint[] {
  const of = (
    action: Action,
    who: readonly Kind[],
    summary: string,
    body: z.ZodType = noMembers,
    optionsOf: (body: never) => TransitionOptions = () => ({}),
  ) => transition(deps, { action, who, summary, body, optionsOf });
  return [
    of("close", owners, "Nothing is accepted any more; accepted mail is delivered, data is kept"),
    of("reopen", owners, "Back to the state before", reopening, (body: z.output<typeof reopening>) => body),
    of("disable", owners, "It may not send for now", disabling, (body: z.output<typeof disabling>) => ({
      publicMessage: body.public_message,
    })),
    of("enable", owners, "It may send again"),
    of("archive", owners, "Put a closed one away"),
    of("suspend", operatorOnly, "Nothing is accepted, its queue is held, its API only reads"),
    of("resume", operatorOnly, "End a suspension"),
    topUp(deps),
  ];
}

type Transition = Readonly<{
  action: Action;
  who: readonly Kind[];
  summary: string;
  body: z.ZodType;
  optionsOf(body: never): TransitionOptions;
}>;

function transition(deps: Deps, { action, who, summary, body, optionsOf }: Transition): Endpoint {
  return endpoint(
    {
      method: "post",
      path: `/v1/subaccounts/{id}/${action}`,
      tag,
      summary,
      access: { who, scopes: [] },
      params: idParams("sub"),
      body,
      bodyOptional: true,
      status: 200,
      answer: subaccountShape,
    },
    async ({ db, principal, params, body: given, ifMatch }) => {
      const version = await versionFor(ifMatch, () => findSubaccount(db, principal, params.id, deps.clock));
      const options = { ...optionsOf(given as never), version };
      const changed = await transitionSubaccount(db, principal, params.id, action, options, deps.clock);
      const shown = await shownSubaccount(db, principal, changed, deps);
      return { body: shown, version: changed.version, changed: [{ kind: "subaccount", id: changed.id }] };
    },
  );
}

const topUpShape = z
  .strictObject({
    id: shownId("top"),
    subaccount_id: shownId("sub"),
    units: z.int(),
    note: z.string().nullable(),
    period: periodShape,
    created_at: instant,
  })
  .openapi("TopUp");

function topUp({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/{id}/top_ups",
      tag,
      summary: "Add units to the running period",
      access: { who: owners, scopes: [] },
      params: idParams("sub"),
      body: z
        .strictObject({ units: units.min(1), note: text(500).nullable().optional() })
        .openapi({ example: { units: 1000, note: "spring sale" } }),
      status: 201,
      answer: topUpShape,
      idempotent: true,
    },
    async ({ db, principal, params, body }) => {
      const subaccount = await findSubaccount(db, principal, params.id, clock);
      const { id, period, createdAt, ...rest } = await addTopUp(db, principal, subaccount, body, clock);
      const shown = {
        id: showId("top", id),
        subaccount_id: showId("sub", subaccount.id),
        ...rest,
        period: showPeriod(period),
        created_at: showInstant(createdAt),
      };
      return { body: shown, changed: [{ kind: "subaccount", id: subaccount.id }] };
    },
  );
}

/** Transfers: accounts that go to another master, or stand alone. */
import { z } from "@hono/zod-openapi";
import type { Change } from "../accounts/changes.ts";
import { acceptTransfer, approveTransfer } from "../lifecycle/accept-transfer.ts";
import { endTransfer, offerTransfer, requestRenewal } from "../lifecycle/offer-transfer.ts";
import { findTransfer, listTransfers, type Transfer } from "../lifecycle/transfer.ts";
import type { TransferId } from "../platform/ids.ts";
import { type Deps, lettersOf } from "./deps.ts";
import { type Endpoint, endpoint, everyone, operatorOnly } from "./endpoint.ts";
import { idField, idParams, listOf, noMembers, pageParams, showId, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";
import { Problem } from "./problem.ts";
import { acceptance, approval, newTransfer, showTransfer, transferRef, transferShape } from "./transfer-shape.ts";

const tag = "Transfers";

export function transferEndpoints(deps: Deps): Endpoint[] {
  const end = (how: "withdraw" | "decline", summary: string) => ending(deps, how, summary);
  return [
    offer(deps),
    list(deps),
    show(deps),
    accept(deps),
    end("withdraw", "Take an offer back"),
    end("decline", "Refuse what was offered"),
    approve(deps),
  ];
}

const offeredShape = transferShape
  .extend({
    token: z.string().optional().openapi({ description: "For the other side; shown once, valid for 7 days." }),
  })
  .openapi("OfferedTransfer");

function offer(deps: Deps): Endpoint {
  const { clock } = deps;
  return endpoint(
    {
      method: "post",
      path: "/v1/transfers",
      tag,
      summary: "Offer an account to another master, or its independence",
      description:
        "What moves starts at zero under its new payer, as a new subaccount with its credentials, keys and proven domains. Earlier periods stay with the old master; branding and granted domains don't go along. A suspended account can't move.",
      access: { who: everyone, scopes: [] },
      body: newTransfer,
      status: 201,
      answer: offeredShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { to_master: toMaster, standalone, renewal } = body;
      const subaccountId = principal.kind === "subaccount" ? principal.subaccountId : body.subaccount_id;
      if (subaccountId === undefined) throw missing();
      if (renewal) {
        return { body: showTransfer(await requestRenewal(db, principal, subaccountId, clock), principal) };
      }
      const wanted = { subaccountId, toMaster, standalone };
      const { transfer, token } = await offerTransfer(db, principal, wanted, lettersOf(deps));
      return { body: { ...showTransfer(transfer, principal), token } };
    },
  );
}

function missing(): Problem {
  const detail = "Say which subaccount.";
  return new Problem("invalid", detail, { mistakes: [{ pointer: "/subaccount_id", detail }] });
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/transfers",
      tag,
      summary: "Transfers of either side, newest first",
      access: { who: everyone, scopes: ["read"] },
      query: z.strictObject({ subaccount_id: idField("sub").optional(), ...pageParams }),
      status: 200,
      answer: listOf(transferShape),
    },
    async (call) => {
      const { db, principal } = call;
      const { limit, after, page } = pagingOf(deps, call);
      const filter = { after: after?.[0] as TransferId | undefined, limit, subaccountId: call.query.subaccount_id };
      const found = await listTransfers(db, principal, filter, deps.clock);
      return {
        body: page(
          found,
          (transfer) => showTransfer(transfer, principal),
          ({ id }) => [id],
        ),
      };
    },
  );
}

function show({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/transfers/{id}",
      tag,
      summary: "One transfer",
      access: { who: everyone, scopes: ["read"] },
      params: idParams("tra"),
      status: 200,
      answer: transferShape,
    },
    async ({ db, principal, params }) => {
      return { body: showTransfer(await findTransfer(db, principal, params.id, clock), principal) };
    },
  );
}

function accept({ clock, keyring }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/transfers/{id}/accept",
      tag,
      summary: "Take what was offered, by its id or its token",
      description: "An account that is to stand alone moves when the operator has approved it.",
      access: { who: ["master", "subaccount"], scopes: [] },
      params: transferRef,
      body: acceptance,
      bodyOptional: true,
      status: 200,
      answer: transferShape,
    },
    async ({ db, principal, params, body }) => {
      const terms = { name: body.name, monthlyLimit: body.monthly_limit };
      const transfer = await acceptTransfer(db, principal, params.id, terms, keyring, clock);
      return { body: showTransfer(transfer, principal), changed: changedBy(transfer) };
    },
  );
}

function ending({ clock }: Deps, how: "withdraw" | "decline", summary: string): Endpoint {
  return endpoint(
    {
      method: "post",
      path: `/v1/transfers/{id}/${how}`,
      tag,
      summary,
      access: { who: everyone, scopes: [] },
      params: idParams("tra"),
      body: noMembers,
      bodyOptional: true,
      status: 200,
      answer: transferShape,
    },
    async ({ db, principal, params }) => {
      return { body: showTransfer(await endTransfer(db, principal, params.id, how, clock), principal) };
    },
  );
}

const approvedShape = transferShape
  .extend({
    master: z.strictObject({ id: shownId("mas"), own_subaccount: z.strictObject({ id: shownId("sub") }) }),
    api_key: z.strictObject({ id: shownId("key"), key: z.string() }).openapi({ description: "Shown once." }),
  })
  .openapi("ApprovedTransfer");

function approve({ clock, keyring }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/transfers/{id}/approve",
      tag,
      summary: "Make a master of an account that was let go, or of a closed one that asks for it",
      access: { who: operatorOnly, scopes: [] },
      params: idParams("tra"),
      body: approval,
      status: 200,
      answer: approvedShape,
    },
    async ({ db, principal, params, body }) => {
      const { notification_emails: notificationEmails, ...terms } = body;
      const approved = { ...terms, notificationEmails };
      const { transfer, master, apiKey } = await approveTransfer(db, principal, params.id, approved, keyring, clock);
      const made = {
        master: { id: showId("mas", master.id), own_subaccount: { id: showId("sub", master.ownSubaccountId) } },
        api_key: { id: showId("key", apiKey.apiKey.id), key: apiKey.key },
      };
      return { body: { ...showTransfer(transfer, principal), ...made }, changed: changedBy(transfer) };
    },
  );
}

/** This process forgets who it was; the gate hears that it is closed. */
function changedBy({ subaccountId, movedTo }: Transfer): Change[] {
  return movedTo === null ? [] : [subaccountId, movedTo].map((id) => ({ kind: "subaccount", id }));
}

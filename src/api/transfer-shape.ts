/** Transfers: what is taken, and how they are shown to each side. */
import { z } from "@hono/zod-openapi";
import type { Principal } from "../accounts/principal.ts";
import { type Transfer, transferKinds, transferStates } from "../lifecycle/transfer.ts";
import { parseId } from "../platform/ids.ts";
import * as field from "./fields.ts";
import { monthlyLimit } from "./subaccount-shape.ts";

export const newTransfer = z
  .strictObject({
    subaccount_id: field.idField("sub").optional().openapi({ description: "A subaccount's key: its own." }),
    to_master: field.idField("mas").optional().openapi({
      description: "Left out: whichever master brings the token.",
    }),
    standalone: z.boolean().optional().openapi({ description: "It is to be a master of its own." }),
    renewal: z.boolean().optional().openapi({
      description: "By the operator, for the owner of a closed account who wants to go on with one of its own.",
    }),
  })
  .openapi("NewTransfer", {
    example: { subaccount_id: "sub_01kb2m5xj7e1fr0x4m4f6a0z3q", to_master: "mas_01kb2m5xj7e1fr0x4m4f6a0z3q" },
  });

export const acceptance = z
  .strictObject({
    name: field
      .line(200)
      .optional()
      .openapi({ description: "What you call it; its owner's name where it is left out." }),
    monthly_limit: monthlyLimit.optional().openapi({ description: "Under you. Needed where you are to pay for it." }),
  })
  .openapi("TransferAcceptance", { example: { name: "Blue Bakery", monthly_limit: 5000 } });

export const approval = z
  .strictObject({
    allowance: field.units.nullable().openapi({ description: "Of the new master, units per period; null: unlimited." }),
    overage: z.enum(["block", "bill"]).optional(),
    name: field.line(200).optional(),
    notification_emails: z
      .array(field.email)
      .min(1)
      .max(20)
      .optional()
      .openapi({ description: "Its owner's where they are left out." }),
  })
  .openapi("TransferApproval", { example: { allowance: 50_000, overage: "bill" } });

export const transferShape = z
  .strictObject({
    id: field.shownId("tra"),
    kind: z.enum(transferKinds),
    state: z.enum(transferStates).openapi({ description: "`accepted`: it waits for the operator." }),
    subaccount_id: field.shownId("sub"),
    from_master: field.shownId("mas").optional(),
    to_master: field.shownId("mas").nullable().optional(),
    offered_by: z.enum(["master", "subaccount"]),
    moved_to: field.shownId("sub").nullable().optional().openapi({ description: "What it has become." }),
    created_at: field.instant,
    expires_at: field.instant,
    settled_at: field.instant.nullable(),
  })
  .openapi("Transfer");

/** Masters are not told to a subaccount, nor what became of an account to the one it has left. */
export function showTransfer(transfer: Transfer, principal: Principal): z.output<typeof transferShape> {
  const { kind, state, offeredBy, movedTo, fromMasterId, toMasterId } = transfer;
  const masters = { from_master: field.showId("mas", fromMasterId), to_master: field.showId("mas", toMasterId) };
  const left = principal.kind === "master" && principal.masterId === fromMasterId;
  return {
    id: field.showId("tra", transfer.id),
    kind,
    state,
    subaccount_id: field.showId("sub", transfer.subaccountId),
    ...(principal.kind === "subaccount" ? {} : masters),
    offered_by: offeredBy,
    ...(left ? {} : { moved_to: field.showId("sub", movedTo) }),
    created_at: field.showInstant(transfer.createdAt),
    expires_at: field.showInstant(transfer.expiresAt),
    settled_at: field.showInstant(transfer.settledAt),
  };
}

/** `tra_...`, or the token that came with the offer. */
export const transferRef = z.object({
  id: z
    .string()
    .transform((value, context) => {
      const id = parseId("tra", value);
      if (id !== undefined) return { id };
      if (/^pm_tra_[a-z2-7]{32}$/.test(value)) return { token: value };
      context.addIssue({ code: "custom", message: "This is neither an id of a transfer nor a token." });
      return z.NEVER;
    })
    .openapi({ type: "string", example: "tra_01kb2m5xj7e1fr0x4m4f6a0z3q" }),
});

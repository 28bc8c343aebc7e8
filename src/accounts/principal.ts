/** Who asks. Every read and every change goes through one; doors make none but by `authenticate`. */
import type { CredentialId, KeyId, MasterId, MemberId, SubaccountId } from "../platform/ids.ts";

export type Operator = Readonly<{
  kind: "operator";
  via: "key" | "cli" | "person";
  memberId?: MemberId;
  scopes?: readonly Scope[]; // left out: full
}>;

export type MasterPrincipal = Readonly<{
  kind: "master";
  masterId: MasterId;
  keyId: KeyId | null; // null: a person, or the operator acts for it
  memberId?: MemberId; // the person who is logged in
  scopes: readonly Scope[];
  operator?: true; // the operator acts for this master by Postmeter-Account
  frozen?: Frozen;
}>;

export type SubaccountPrincipal = Readonly<{
  kind: "subaccount";
  masterId: MasterId;
  subaccountId: SubaccountId;
  keyId: KeyId | null; // null: a person, or its master or the operator acts for it
  memberId?: MemberId;
  credentialId?: CredentialId; // set when SMTP AUTH made it
  scopes: readonly Scope[];
  operator?: true;
  by?: MasterPrincipal; // the master that acts for it by Postmeter-Account
  frozen?: Frozen;
}>;

export type Principal = Operator | MasterPrincipal | SubaccountPrincipal;

/** Why the account may read and change nothing. The operator who acts for it is not bound. */
export type Frozen = "pending" | "disabled" | "suspended" | "expired" | "closed" | "archived";

/**
 * `full` is all that the key's kind may do; the others are parts of it. `develop`: credentials, domains, keys that can no more.
 * `billing`: what bills are made of and, with `read`, what they are grouped by (a subaccount's billing profile).
 */
export const scopes = ["full", "read", "send", "develop", "billing"] as const;
export type Scope = (typeof scopes)[number];

export function scopesOf(principal: Principal): readonly Scope[] {
  return principal.scopes ?? ["full"];
}

/** Whose rows a principal may see: null means any. Every list and look-up is narrowed by it. */
export type Reach = Readonly<{ masterId: MasterId | null; subaccountId: SubaccountId | null }>;

export function reachOf(principal: Principal): Reach {
  if (principal.kind === "operator") return { masterId: null, subaccountId: null };
  return {
    masterId: principal.masterId,
    subaccountId: principal.kind === "subaccount" ? principal.subaccountId : null,
  };
}

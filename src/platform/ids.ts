/**
 * Ids: UUIDv7 inside (database, memory), TypeID (`sub_01h...`) at the doors, so that an id says what it names.
 * A UUIDv7 starts with its instant: it sorts by age and finds its own partition.
 */

import { randomFillSync } from "node:crypto";
import { parseTypeId, type TypeId, toUUID } from "typeid-js";
import { v7 } from "uuid";
import type { Clock } from "./clock.ts";

declare const brand: unique symbol;
type Id<Kind extends string> = string & { readonly [brand]: Kind };

export type MasterId = Id<"mas">;
export type SubaccountId = Id<"sub">;
export type AccountId = MasterId | SubaccountId;
export type CredentialId = Id<"cred">;
export type KeyId = Id<"key">;
export type MessageId = Id<"msg">;
export type DomainId = Id<"dom">;
export type EventId = Id<"evt">;
export type AuditId = Id<"aud">;
export type TopUpId = Id<"top">;
export type StatementId = Id<"stm">;
export type CapturedId = Id<"cap">;
export type ViewId = Id<"view">;
export type ImportId = Id<"imp">;
export type BulkChangeId = Id<"blk">;
/** Both are runs over many subaccounts. */
export type BulkRunId = ImportId | BulkChangeId;
export type ReviewId = Id<"rev">;
export type EntryId = Id<"ent">;
export type CreditPackId = Id<"pack">;
export type CreditLotId = Id<"lot">;
export type PersonId = Id<"per">;
export type MemberId = Id<"mem">;
export type LinkId = Id<"lnk">;
export type SessionId = Id<"ses">;
export type PlanId = Id<"plan">;
export type TemplateId = Id<"tpl">;
export type BillingProfileId = Id<"bil">;
export type RateCardId = Id<"rat">;
export type TransferId = Id<"tra">;
export type ErasureId = Id<"era">;
export type AlertId = Id<"alr">;
export type AlertRuleId = Id<"rul">;
export type NodeId = number;

export interface IdOf {
  mas: MasterId;
  sub: SubaccountId;
  cred: CredentialId;
  key: KeyId;
  msg: MessageId;
  dom: DomainId;
  evt: EventId;
  aud: AuditId;
  top: TopUpId;
  stm: StatementId;
  cap: CapturedId;
  ent: EntryId;
  pack: CreditPackId;
  lot: CreditLotId;
  per: PersonId;
  mem: MemberId;
  lnk: LinkId;
  ses: SessionId;
  view: ViewId;
  imp: ImportId;
  blk: BulkChangeId;
  rev: ReviewId;
  plan: PlanId;
  tpl: TemplateId;
  bil: BillingProfileId;
  rat: RateCardId;
  tra: TransferId;
  era: ErasureId;
  alr: AlertId;
  rul: AlertRuleId;
}
export type Prefix = keyof IdOf;

/** The account that owns the platform's own mail (DSNs keep the account they report to). */
export const PLATFORM = "00000000-0000-0000-0000-000000000001" as SubaccountId & MasterId;

/** Before all ids: where a walk in their order begins (the Nil UUID of RFC 9562). */
export const BEFORE_ALL = "00000000-0000-0000-0000-000000000000" as SubaccountId & MasterId;

/** Random bytes are drawn for many ids at a time: a call for each would cost more than the rest of the id. */
const drawn = new Uint8Array(16 * 256);
let at = drawn.length;

function random(): Uint8Array {
  if (at === drawn.length) {
    randomFillSync(drawn);
    at = 0;
  }
  at += 16;
  return drawn.subarray(at - 16, at);
}

/** A new id of the clock's instant. */
export function newId<Kind extends Id<string>>(clock: Clock): Kind {
  return v7({ msecs: clock.now().getTime(), random: random() }) as Kind;
}

/** Shows an id at a door: `formatId("msg", id)` is `msg_01h...`. */
export function formatId<P extends Prefix>(prefix: P, id: IdOf[P]): string {
  return prefix === "sub" || prefix === "mas" ? formatAccountId(prefix, id) : `${prefix}_${suffix(id)}`;
}

/** `sub_...`, or `mas_...` where there is no subaccount. */
export function formatAccount({
  masterId,
  subaccountId,
}: {
  masterId: MasterId;
  subaccountId: SubaccountId | null;
}): string {
  return subaccountId === null ? formatId("mas", masterId) : formatId("sub", subaccountId);
}

const MAX_SHOWN = 10_000;
const shown = { sub: new Map<string, string>(), mas: new Map<string, string>() };

/** An account's id is shown in each line of the log about its messages. */
function formatAccountId(prefix: "sub" | "mas", id: string): string {
  const known = shown[prefix].get(id);
  if (known !== undefined) return known;
  const text = `${prefix}_${suffix(id)}`;
  if (shown[prefix].size >= MAX_SHOWN) shown[prefix].clear();
  shown[prefix].set(id, text);
  return text;
}

const ALPHABET = Buffer.from("0123456789abcdefghjkmnpqrstvwxyz");
const chars = new Array<number>(26).fill(0);

/**
 * The 128 bits of a UUID in 26 characters of five bits, the first of three (TypeID 0.3). Ids are shown for each message:
 * the library goes by way of bytes and takes three times as long.
 */
function suffix(uuid: string): string {
  let bits = 0;
  let held = 2; // the two that are always zero
  let at = 0;
  for (let i = 0; i < uuid.length; i += 1) {
    const code = uuid.charCodeAt(i);
    if (code === DASH) continue;
    bits = (bits << 4) | (code <= NINE ? code - ZERO : code - LOWER_A + 10);
    held += 4;
    if (held < 5) continue;
    held -= 5;
    chars[at] = ALPHABET[bits >> held] as number;
    at += 1;
    bits &= (1 << held) - 1;
  }
  return String.fromCharCode(...chars);
}

const [DASH, ZERO, NINE, LOWER_A] = [0x2d, 0x30, 0x39, 0x61];

/** Reads an id given at a door; undefined unless it is a well-formed id of that kind. */
export function parseId<P extends Prefix>(prefix: P, text: string): IdOf[P] | undefined {
  try {
    const typed = text as TypeId<P>;
    return parseTypeId(typed).prefix === prefix ? (toUUID(typed) as IdOf[P]) : undefined;
  } catch {
    return undefined;
  }
}

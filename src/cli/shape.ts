/** Answers for programs: the members and ids that the API shows, in snake_case. */
import type { Master, Subaccount } from "../accounts/account.ts";
import type { Credential } from "../accounts/credentials.ts";
import type { ApiKey } from "../accounts/keys.ts";
import { formatId, type Prefix } from "../platform/ids.ts";

/** Members that are ids, whatever they are a member of. */
const prefixes: Readonly<Record<string, Prefix>> = {
  masterId: "mas",
  subaccountId: "sub",
  fromMasterId: "mas",
  toMasterId: "mas",
  movedTo: "sub",
  credentialId: "cred",
  keyId: "key",
  messageId: "msg",
};

/** camelCase to snake_case, instants in ISO, ids as TypeIDs. `prefix`: what the value's own `id` is. */
export function shape(value: unknown, prefix?: Prefix): unknown {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((item) => shape(item, prefix));
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(
    members.map(([name, member]) => {
      const known = name === "id" ? prefix : prefixes[name];
      const shown =
        known !== undefined && typeof member === "string" ? formatId(known, member as never) : shape(member);
      return [snake(name), shown];
    }),
  );
}

const snake = (name: string) => name.replace(/[A-Z]|(?<=[a-z])(?=\d)/g, (letter) => `_${letter.toLowerCase()}`);

type Shaped = Record<string, unknown>;

export function masterShape({ calendar, ownState: _, ownSubaccountId, ...master }: Master): Shaped {
  const { next, ...running } = calendar;
  return {
    ...(shape({ ...master, ...running }, "mas") as Shaped),
    next_calendar: next === undefined ? null : shape(next),
    own_subaccount: { id: formatId("sub", ownSubaccountId) },
  };
}

export function subaccountShape({ calendar: _, ownState: __, stateBefore: ___, ...subaccount }: Subaccount): Shaped {
  return { ...(shape({ ...subaccount, metadata: undefined }, "sub") as Shaped), metadata: subaccount.metadata };
}

export function credentialShape(credential: Credential): Shaped {
  return shape(credential, "cred") as Shaped;
}

export function keyShape(key: ApiKey): Shaped {
  return shape(key, "key") as Shaped;
}

/** A list of `limit + 1` rows at most: the last only tells that there is more. */
export function page<T>(rows: readonly T[], limit: number): { items: readonly T[]; more: boolean } {
  return { items: rows.slice(0, limit), more: rows.length > limit };
}

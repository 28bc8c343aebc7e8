/**
 * Who is next at a peer: subaccounts take turns, and of four turns fresh mail gets three when claimed mail waits too.
 *
 * Invariant: a subaccount that waits is served after at most one message of each other subaccount of its kind.
 */
import type { SubaccountId } from "../platform/ids.ts";
import { type Kind, kindOf, ownerOf, type Parcel } from "./parcel.ts";

export type Turns = Readonly<{
  add(parcel: Parcel): void;
  /** Ahead of the others of its subaccount. */
  addFirst(parcel: Parcel): void;
  /** The next of the kinds that may go now. */
  take(may: (kind: Kind) => boolean): Parcel | undefined;
  waiting(kind?: Kind): number;
  /** All that waits, taken out. */
  clear(): Parcel[];
}>;

const CLAIMED_EVERY = 4;

export function createTurns(): Turns {
  const rings = { fresh: createRing(), claimed: createRing() };
  let turn = 0;
  return {
    add: (parcel) => rings[kindOf(parcel)].add(parcel, false),
    addFirst: (parcel) => rings[kindOf(parcel)].add(parcel, true),
    take(may) {
      const claimedFirst = turn % CLAIMED_EVERY === CLAIMED_EVERY - 1;
      const [first, second]: [Kind, Kind] = claimedFirst ? ["claimed", "fresh"] : ["fresh", "claimed"];
      const parcel =
        (rings[first].size() > 0 && may(first) ? rings[first].take() : undefined) ??
        (rings[second].size() > 0 && may(second) ? rings[second].take() : undefined);
      if (parcel !== undefined) turn += 1;
      return parcel;
    },
    waiting: (kind) => (kind === undefined ? rings.fresh.size() + rings.claimed.size() : rings[kind].size()),
    clear: () => [...rings.fresh.clear(), ...rings.claimed.clear()],
  };
}

type Link = { parcel: Parcel; next: Link | null };
type Line = { first: Link; last: Link };

/** The order of the map is the order of the turns. */
function createRing() {
  const lines = new Map<SubaccountId, Line>();
  let size = 0;
  const takeFrom = (owner: SubaccountId, { first, last }: Line): Parcel => {
    lines.delete(owner);
    if (first.next !== null) lines.set(owner, { first: first.next, last });
    size -= 1;
    return first.parcel;
  };
  const ring = {
    add(parcel: Parcel, ahead: boolean): void {
      const link: Link = { parcel, next: null };
      const line = lines.get(ownerOf(parcel));
      size += 1;
      if (line === undefined) lines.set(ownerOf(parcel), { first: link, last: link });
      else if (ahead) {
        link.next = line.first;
        line.first = link;
      } else {
        line.last.next = link;
        line.last = link;
      }
    },
    take(): Parcel | undefined {
      for (const [owner, line] of lines) return takeFrom(owner, line);
      return undefined;
    },
    size: () => size,
    clear(): Parcel[] {
      const all: Parcel[] = [];
      for (let parcel = ring.take(); parcel !== undefined; parcel = ring.take()) all.push(parcel);
      return all;
    },
  };
  return ring;
}

/**
 * News of changes to accounts, credentials, keys, sender domains and hosts of brands, from any process (LISTEN; triggers tell).
 *
 * Invariant: while `heard()` is true, every change that commits from now on reaches the subscribers; after a gap they
 * are told `everything` before it is true again.
 * On failure: the connection is made anew, at most 2 s apart, for ever; a silent one is noticed within about 10 s.
 */
import pg from "pg";
import { connectionConfig } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";

export type Change =
  | Readonly<{ kind: "subaccount" | "master" | "credential" | "key"; id: string }>
  /** `host`: of a brand. */
  | Readonly<{ kind: "domain" | "host"; name: string }>
  /** `key`: hexadecimal; `until`: milliseconds since 1970. */
  | Readonly<{ kind: "lockout"; key: string; until: number }>
  /** The first failed log-in of a user name and network; `key` as above. */
  | Readonly<{ kind: "failure"; key: string }>
  /** A lock was taken away by hand. */
  | Readonly<{ kind: "unlock"; key: string }>
  /** A message of that subaccount and size may be sent again (spool/in-doubt). */
  | Readonly<{ kind: "doubt"; id: string; sizeBytes: number }>
  /** Something may have been missed. */
  | Readonly<{ kind: "everything" }>;

export type AccountChanges = AsyncDisposable &
  Readonly<{
    heard(): boolean;
    /** Counts changes of accounts and gaps: what was read at another count may be old. */
    count(): number;
    subscribe(hear: (change: Change) => void): void;
    /** Lets the subscribers of this process know at once. */
    tell(change: Change): void;
  }>;

export type ListenOptions = Readonly<{ url: string; log: Log; heartbeatMs?: number }>;

/** Resolves when it listens. @throws when the first connection can't be made */
export async function listenForChanges({ url, log, heartbeatMs = 5000 }: ListenOptions): Promise<AccountChanges> {
  const subscribers: ((change: Change) => void)[] = [];
  let count = 0;
  let client: pg.Client | undefined;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;

  const tell = (change: Change) => {
    if (!leavesAccounts(change)) count++;
    for (const hear of subscribers) hear(change);
  };

  const connect = async () => {
    const fresh = new pg.Client({
      ...connectionConfig({ url, applicationName: "postmeter changes" }),
      query_timeout: heartbeatMs,
    });
    fresh.on("error", () => lose(fresh));
    fresh.on("end", () => lose(fresh));
    fresh.on("notification", ({ payload }) => {
      const change = parseChange(payload ?? "");
      if (change !== undefined) tell(change);
    });
    try {
      await fresh.connect();
      await fresh.query("listen postmeter_account");
    } catch (error) {
      await fresh.end().catch(() => {});
      throw error;
    }
    if (ended) return fresh.end();
    tell({ kind: "everything" });
    client = fresh;
    again(heartbeatMs);
  };

  const lose = (lost: pg.Client) => {
    if (client !== lost) return;
    client = undefined;
    tell({ kind: "everything" });
    lost.end().catch(() => {});
    if (ended) return;
    log.warn({ event: "accounts.changes_lost" });
    again(100);
  };

  const again = (delayMs: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => void tick(delayMs), delayMs).unref();
  };

  const tick = async (delayMs: number) => {
    const listening = client;
    try {
      if (listening === undefined) await connect();
      else await listening.query("select 1");
      if (client !== undefined) again(heartbeatMs);
    } catch {
      if (listening !== undefined) lose(listening);
      else if (!ended) again(Math.min(2000, delayMs * 2));
    }
  };

  await connect();
  return {
    heard: () => client !== undefined,
    count: () => count,
    subscribe: (hear) => void subscribers.push(hear),
    tell,
    async [Symbol.asyncDispose]() {
      ended = true;
      clearTimeout(timer);
      const last = client;
      client = undefined;
      await last?.end();
    },
  };
}

/** No row of an account has changed. These may come as fast as someone guesses passwords, or connections break. */
export function leavesAccounts(change: Change): boolean {
  return change.kind === "failure" || ["lockout", "unlock", "doubt"].includes(change.kind);
}

/** Undefined for what a newer program may say. */
export function parseChange(payload: string): Change | undefined {
  const [kind, first = "", second = ""] = payload.split(":");
  switch (kind) {
    case "subaccount":
    case "master":
    case "credential":
    case "key":
      return { kind, id: first };
    case "domain":
    case "host":
      return { kind, name: first };
    case "unlock":
      return { kind, key: first };
    case "failure":
      return { kind, key: first };
    case "doubt":
      return { kind, id: first, sizeBytes: Number(second) };
    case "lockout":
      return { kind, key: first, until: Number(second) };
    default:
      return undefined;
  }
}

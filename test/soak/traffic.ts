/** A steady mixed load: sizes, numbers of recipients, tenants with and without room, kept and new connections, API calls. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Dice } from "../faults/dice.ts";
import type { Scene } from "../journeys/scene.ts";
import { createSubaccount, createTenant, type Relay, type Tenant } from "../support/relay.ts";
import type { Load, Sent } from "../support/sessions.ts";
import type { Script } from "../support/upstream.ts";

/** Accepts most, defers some, knows one recipient never, and is slow now and then. Of what it takes it keeps the header. */
export function moodyUpstream(dice: Dice): Script {
  return {
    rcpt(line) {
      if (line.includes("<reader3@")) return "550 5.1.1 Nobody here";
      return dice.below(40) === 0 ? "451 4.2.0 Later" : undefined;
    },
    async end(message) {
      const head = message.bytes.indexOf("\r\n\r\n");
      (message as { bytes: Buffer }).bytes = Buffer.from(message.bytes.subarray(0, head === -1 ? undefined : head + 4));
      if (dice.below(50) === 0) await sleep(dice.below(2000));
      return undefined;
    },
  };
}

export async function createTenants(relay: Relay): Promise<Tenant[]> {
  const free = await createTenant(relay, { limit: null });
  const limited = await createTenant(relay, { limit: 1500 });
  const capped = await createTenant(relay, { limit: 900, allowance: 1200 });
  const other = await createSubaccount(relay, capped.masterKey, 900);
  return [free, limited, capped, { ...capped, ...other }];
}

export type Traffic = Readonly<{
  seen(): readonly Sent[];
  /** API calls with their answers' classes. */
  calls: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}>;

const SIZES = [
  { bodyBytes: 200, sessions: 4, pauseMs: 80 },
  { bodyBytes: 50_000, sessions: 2, pauseMs: 300 },
  { bodyBytes: 1_000_000, sessions: 1, pauseMs: 3_000 },
];

export function startTraffic(scene: Scene, tenants: readonly Tenant[], nodes: () => readonly Relay[]): Traffic {
  const ports = () => nodes().map((node) => node.ports.submission);
  const units = (n: number) => (n % 50 === 0 ? 60 : 1 + (n % 4));
  const loads: Load[] = tenants.flatMap((tenant, i) =>
    SIZES.slice(0, i === 0 ? 3 : 1).map((size) => scene.load(tenant, { senders: [tenant], ports, units, ...size })),
  );
  const seen: Sent[] = [];
  const read = loads.map(() => 0);
  const calls: Record<string, number> = {};
  let stopped = false;
  const repeat = async (pauseMs: number, act: () => Promise<void>) => {
    while (!stopped) {
      await act();
      await sleep(pauseMs);
    }
  };
  const single = async () => {
    const load = scene.load(tenants[0]!, { ports, sessions: 1, messages: 1 });
    await load.done;
    seen.push(...load.seen);
  };
  const call = async (n: number) => {
    const tenant = tenants[n % tenants.length]!;
    const node = nodes()[n % nodes().length]!;
    const id = tenant.subaccountId;
    const path = [`subaccounts/${id}`, `subaccounts/${id}/usage`, "messages?limit=20", "events?limit=20"][(n >> 2) % 4];
    const answer = await node.call("GET", `/v1/${path}`, undefined, { key: tenant.masterKey }).catch(() => undefined);
    const name = answer === undefined ? "no answer" : `${Math.floor(answer.status / 100)}xx`;
    calls[name] = (calls[name] ?? 0) + 1;
  };
  let called = 0;
  const others = [repeat(200, single), repeat(100, () => call(called++))];
  return {
    seen() {
      for (const [i, load] of loads.entries()) {
        seen.push(...load.seen.slice(read[i]));
        read[i] = load.seen.length;
      }
      return seen;
    },
    calls,
    async stop() {
      stopped = true;
      await Promise.all([...others, ...loads.map((load) => load.stop())]);
    },
  };
}

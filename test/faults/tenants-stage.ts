/** The whole program with a DNS, in which invented tenants live, and the count of what they did. */
import type { Connection } from "../bench/connection.ts";
import { openScene, type Scene } from "../journeys/scene.ts";
import { type TestDns, testDns } from "../support/dns.ts";

/** `sessions`: open ones, by user name. */
export type Stage = Scene &
  Readonly<{ dns: TestDns; sessions: Map<string, Connection>; figures: Record<string, number> }>;

export async function openStage(told: { program?: string; withRedis?: boolean } = {}): Promise<Stage> {
  const dns = await testDns();
  const scene = await openScene({ withRedis: false, env: { POSTMETER_DNS_SERVERS: dns.server }, ...told });
  return { ...scene, dns, sessions: new Map(), figures: {} };
}

export function count({ figures }: Stage, what: string, times = 1): void {
  figures[what] = (figures[what] ?? 0) + times;
}

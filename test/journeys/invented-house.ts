/** The API, a gate and an acceptor over one database, for invented tenants. */
import fc from "fast-check";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createGate, type ProcessGate } from "../../src/quota/create-gate.ts";
import { openDoor } from "../api/client.ts";
import { silentLog } from "../support/log.ts";
import { testAcceptor } from "../support/submission.ts";
import type { House, Step } from "./invented.ts";

export async function openHouse(): Promise<House> {
  let gate: ProcessGate | undefined;
  const door = await openDoor({ publish: async () => gate?.forget() });
  const { database } = door;
  gate = createGate({ database, metrics: createMetrics(), log: silentLog, clock: database.clock });
  return { door, gate, acceptor: testAcceptor(database) };
}

export const steps = (most: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.tuple(fc.nat(8), fc.nat(1), fc.nat(1), fc.nat(40)), { minLength: most / 2, maxLength: most });

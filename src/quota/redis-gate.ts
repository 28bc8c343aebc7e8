/**
 * The gate with Redis: one round trip for a message that fits.
 *
 * Invariant: a refusal always comes from the usage rows. Where Redis says "full" and the rows see room, the rows are
 * published and the message passes; where Redis knows nothing (flushed, restarted, evicted), the rows fill it.
 * On failure: an error or a timeout of Redis opens the breaker; until it works again the gate without Redis decides.
 */
import { type ConfirmDeps, confirm, isCounted, type NotCounted } from "./confirm.ts";
import type { Counted, Publication } from "./counters.ts";
import { type Charge, type Gate, RESERVED, type Reservation, type Standing } from "./gate.ts";
import type { Rates } from "./rates.ts";

/** `without` decides while Redis is away. */
export type RedisGateDeps = ConfirmDeps & Readonly<{ without: Gate; rates: Rates }>;

export function createRedisGate(deps: RedisGateDeps): Gate {
  const { counters, breaker, without, memory, rates } = deps;
  /** Charges that passed and that Redis has not counted: there is nothing to give back. */
  const uncounted = new WeakSet<Charge>();

  async function reserveWithout(charge: Charge): Promise<Reservation> {
    uncounted.add(charge);
    return without.reserve(charge);
  }

  return {
    async reserve(charge) {
      if (breaker.open) return reserveWithout(charge);
      if (charge.units === 0 && memory.hasPlenty(charge)) return RESERVED;
      // Who goes on after its limit costs Redis nothing: the rows have said so less than a second ago.
      const refusal = memory.refusal(charge) ?? rates.refusal(charge);
      if (refusal !== undefined) return refusal;
      let answer: Counted;
      try {
        answer = await counters.reserve(charge);
        if (answer === "rate") {
          const full = await rates.ask(charge);
          if (full !== RESERVED) return full;
          answer = await counters.reserve(withoutRates(charge));
        }
      } catch (error) {
        breaker.failed(error);
        return reserveWithout(charge);
      }
      if (answer === "plenty") memory.sawPlenty(charge);
      if (isCounted(answer)) return RESERVED;
      const decision = await confirm(charge, answer as NotCounted, deps);
      if (decision !== "uncounted") return decision;
      const full = await rates.askNowAndThen(charge);
      if (full !== undefined) return full;
      uncounted.add(charge);
      return RESERVED;
    },
    async release(charge) {
      if (uncounted.delete(charge)) return without.release(charge);
      // Where the door has said "full", its rows were published and have replaced what was counted.
      if (breaker.open || memory.refusal(charge) !== undefined) return;
      await counters.release(charge).catch((error: unknown) => breaker.failed(error));
    },
    rateReached: (charge) => rates.ask(charge, "full"),
    async publish(standings) {
      memory.learn(standings);
      if (breaker.open) return;
      try {
        await Promise.all(byHash(standings).map((publications) => counters.publish(publications)));
      } catch (error) {
        breaker.failed(error);
      }
    },
    async [Symbol.asyncDispose]() {
      breaker[Symbol.dispose]();
    },
  };
}

/** Redis believes a window to be full that has room: this message is counted for the month alone, and the door has the last word. */
function withoutRates(charge: Charge): Charge {
  return charge.guard === undefined ? charge : { ...charge, guard: { ...charge.guard, rates: [] } };
}

function byHash(standings: readonly Standing[]): Publication[][] {
  const groups = Map.groupBy(standings, (s) => `${s.masterId} ${s.periodStart.getTime()}`);
  return [...groups.values()].map((group) => group.map((standing) => ({ standing })));
}

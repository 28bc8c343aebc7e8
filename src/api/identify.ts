/** Who asks: from a request to its principal, with wrong keys slowed down by client network. */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { networkOf } from "../accounts/lockout.ts";
import type { Principal } from "../accounts/principal.ts";
import { authenticate, callerOf } from "./access.ts";
import { networks, type Origin, originOf } from "./client-address.ts";
import type { Deps } from "./deps.ts";
import type { Env } from "./mount.ts";
import { Problem } from "./problem.ts";
import { createKeyThrottle } from "./throttle.ts";

export interface Doorkeeper {
  /** @throws Problem unauthorized, too-many-failures */
  identify(c: Context<Env>): Promise<Principal>;
  origin(c: Context<Env>): Origin;
}

export function createDoorkeeper({ config, authenticator, log }: Deps): Doorkeeper {
  const trusted = networks(config.trustedProxies);
  const throttle = createKeyThrottle();

  const origin = (c: Context<Env>) => {
    const { incoming } = (c.env ?? {}) as Partial<HttpBindings>;
    const forwarded = ["forwarded", "via", "x-real-ip", "x-forwarded-host"].some(
      (name) => c.req.header(name) !== undefined,
    );
    return originOf(incoming?.socket.remoteAddress ?? "", c.req.header("x-forwarded-for"), forwarded, trusted);
  };

  const refuseGuesses = (c: Context<Env>) => {
    const { address } = origin(c);
    const seconds = address === "" ? 0 : throttle.failed(networkOf(address));
    if (seconds === 0) return;
    log.warn({ event: "api.key_guessing", client: address });
    throw new Problem("too-many-failures", `Too many wrong keys came from your network: wait ${seconds} seconds.`, {
      headers: { "Retry-After": `${seconds}` },
    });
  };

  return {
    origin,
    async identify(c) {
      const principal = await authenticate(c.req.header("authorization"), async (token) => {
        const found = await authenticator.key(token);
        if (found === undefined) refuseGuesses(c);
        return found;
      });
      c.set("caller", callerOf(principal));
      return principal;
    },
  };
}

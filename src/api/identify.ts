/** Who asks: from a request to its principal, with wrong keys slowed down by client network. */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { networkOf } from "../accounts/lockout.ts";
import type { Principal } from "../accounts/principal.ts";
import { fromOwnPage, readCookie } from "../people/cookie.ts";
import { findSession, type Session } from "../people/sessions.ts";
import { networks, type Origin, originOf } from "../platform/client-address.ts";
import { sameBytes } from "../platform/secrets.ts";
import { authenticate, callerOf } from "./access.ts";
import type { Deps } from "./deps.ts";
import type { Env } from "./mount.ts";
import { Problem } from "./problem.ts";
import { createKeyThrottle } from "./throttle.ts";

/** Of a cookie; undefined where there is none, or none that opens anything. @throws Problem cross-site, action-required */
async function bySession(c: Context<Env>, { db, keyring, clock }: Deps): Promise<Principal | undefined> {
  const token = readCookie(c.req.header("cookie"));
  const session = token === undefined ? undefined : await findSession(db, token, keyring, clock);
  if (session === undefined) return undefined;
  if (c.req.method !== "GET" && c.req.method !== "HEAD") requireOwnPage(c, session);
  if (session.must !== null) {
    const what = session.must === "change-password" ? "Choose a password of your own" : "Set up a second factor";
    throw new Problem("action-required", `${what} first: /account says how.`);
  }
  return session.principal;
}

/** A cookie comes with whatever a browser sends: what changes something has to come from our own page. */
function requireOwnPage(c: Context<Env>, { csrf }: Session): void {
  const given = Buffer.from(c.req.header("x-csrf-token") ?? "");
  if (fromOwnPage((name) => c.req.header(name)) && sameBytes(given, Buffer.from(csrf))) return;
  throw new Problem("cross-site", "With a session, send its token as X-CSRF-Token, from a page of this host.");
}

export interface Doorkeeper {
  /** @throws Problem unauthorized, too-many-failures */
  identify(c: Context<Env>): Promise<Principal>;
  origin(c: Context<Env>): Origin;
}

export function createDoorkeeper(deps: Deps): Doorkeeper {
  const { config, authenticator, log } = deps;
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

  const byKey = (c: Context<Env>) =>
    authenticate(c.req.header("authorization"), async (token) => {
      const found = await authenticator.key(token, origin(c).address);
      if (found === undefined) refuseGuesses(c);
      return found;
    });

  return {
    origin,
    async identify(c) {
      const session = c.req.header("authorization") === undefined ? await bySession(c, deps) : undefined;
      const principal = session ?? (await byKey(c));
      c.set("caller", callerOf(principal));
      return principal;
    },
  };
}

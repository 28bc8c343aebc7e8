/** Opens connections of a route: to its host, or to the mail hosts of a domain one after the other. */
import { type ConversationHooks, converse, type Patience } from "./conversation.ts";
import { findHosts, type Resolve } from "./mx.ts";
import type { Failure } from "./outcome.ts";
import type { Open } from "./pool.ts";
import type { MxRoute, SmtpRoute } from "./route.ts";
import { type Endpoint, isFailure, openWire, type TransportOptions } from "./transport.ts";

export type Dialing = Readonly<{
  transport: TransportOptions;
  patience: Patience;
  resolve: Resolve;
  random: () => number;
  /** Where mail hosts listen: 25 (RFC 5321 4.5.4.2). */
  mxPort: number;
}>;

export function openSmtp(route: SmtpRoute, dialing: Dialing): Open {
  const { host, port, tls, credentials } = route;
  return (hooks) => dial({ host, port, tls, credentials }, dialing, hooks);
}

const MAX_DIALS = 6;

export function openMx(domain: string, route: MxRoute, dialing: Dialing): Open {
  const { resolve, random, transport, mxPort } = dialing;
  const { privateHosts } = route;
  return async (hooks) => {
    const hosts = await findHosts(domain, { resolve, hostname: transport.hostname, privateHosts, random });
    if ("why" in hosts) return hosts;
    let last: Failure = { why: "dns", text: `The domain ${domain} has no mail host`, reply: null };
    const places = hosts.flatMap(({ host, addresses }) => addresses.map((address) => ({ host, address })));
    for (const place of places.slice(0, MAX_DIALS)) {
      const opened = await dial({ ...place, port: mxPort, tls: "opportunistic", credentials: null }, dialing, hooks);
      if (!isFailure(opened)) return opened;
      last = opened;
    }
    return last;
  };
}

async function dial(endpoint: Endpoint, { transport, patience }: Dialing, hooks: ConversationHooks) {
  const opened = await openWire(endpoint, transport);
  return isFailure(opened) ? opened : converse(opened, patience, hooks);
}

/**
 * Where the mail of a domain goes (RFC 5321 5.1): its MX hosts by preference, else its own addresses; a null MX takes no
 * mail (RFC 7505); our own name ends the list, so that mail never loops back.
 * On failure: resolves to why; `permanent` when asking again can't help.
 */
import { Resolver } from "node:dns/promises";
import { BlockList, isIP, isIPv6 } from "node:net";
import type { Failure } from "./outcome.ts";

export type Resolve = Readonly<{
  mx(domain: string): Promise<readonly { exchange: string; priority: number }[]>;
  /** IPv4 and IPv6. */
  addresses(host: string): Promise<readonly string[]>;
}>;

/** `servers`: `host:port`; empty: the system's. Rejects with the codes of node:dns. */
export function createResolve(servers: readonly string[]): Resolve {
  const resolver = new Resolver({ timeout: 5_000, tries: 2 });
  if (servers.length > 0) resolver.setServers(servers);
  return {
    mx: (domain) => resolver.resolveMx(domain),
    async addresses(host) {
      const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
      const found = [four, six].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
      if (found.length > 0) return found;
      const errors = [four, six].filter((answer) => answer.status === "rejected").map((answer) => answer.reason);
      throw errors.find((error) => !isAbsent(error)) ?? errors[0];
    },
  };
}

export type Host = Readonly<{ host: string; addresses: readonly string[] }>;

export type MxOptions = Readonly<{
  resolve: Resolve;
  /** Our own name. */
  hostname: string;
  /** Whether loopback and private addresses may be delivered to. */
  privateHosts: boolean;
  /** In [0, 1): spreads the load over hosts of one preference. */
  random: () => number;
}>;

/** The hosts to try, best first. `domain` is in A-labels, or an address literal. */
export async function findHosts(domain: string, options: MxOptions): Promise<readonly Host[] | Failure> {
  const literal = /^\[(?:IPv6:)?(.+)\]$/i.exec(domain)?.[1];
  if (literal !== undefined) {
    const allowed = permitted([literal], options.privateHosts);
    return allowed.length > 0 ? [{ host: literal, addresses: allowed }] : forbidden(domain);
  }
  try {
    const names = await exchangers(domain, options);
    return isList(names) ? await resolveAll(domain, names, options) : names;
  } catch (error) {
    if (isAbsent(error)) return permanent("5.1.2", `The domain ${domain} does not exist`);
    return { why: "dns", text: `The domain ${domain} could not be looked up: ${codeOf(error)}`, reply: null };
  }
}

async function exchangers(domain: string, { resolve, hostname, random }: MxOptions): Promise<string[] | Failure> {
  const records = await resolve.mx(domain).catch((error: unknown) => {
    if (codeOf(error) === "ENODATA") return undefined;
    throw error;
  });
  if (records === undefined || records.length === 0) return [domain];
  if (records.length === 1 && isRoot(records[0]?.exchange)) {
    return permanent("5.1.10", `The domain ${domain} accepts no mail`);
  }
  const ordered = records
    .filter(({ exchange }) => !isRoot(exchange))
    .map(({ exchange, priority }) => ({ name: exchange.toLowerCase().replace(/\.$/, ""), priority, chance: random() }))
    .sort((a, b) => a.priority - b.priority || a.chance - b.chance);
  const ours = ordered.find(({ name }) => name === hostname.toLowerCase());
  const before = ours === undefined ? ordered : ordered.filter(({ priority }) => priority < ours.priority);
  if (before.length === 0) return permanent("5.4.6", `The mail of ${domain} would come back to this host`);
  return before.map(({ name }) => name);
}

const MAX_HOSTS = 5;

async function resolveAll(domain: string, names: readonly string[], options: MxOptions): Promise<Host[] | Failure> {
  const errors: unknown[] = [];
  const hosts: Host[] = [];
  let hidden = false;
  for (const host of names.slice(0, MAX_HOSTS)) {
    try {
      const found = isIP(host) ? [host] : await options.resolve.addresses(host);
      const addresses = permitted(found, options.privateHosts);
      if (addresses.length > 0) hosts.push({ host, addresses });
      else hidden = true;
    } catch (error) {
      errors.push(error);
    }
  }
  if (hosts.length > 0) return hosts;
  const temporary = errors.find((error) => !isAbsent(error));
  if (temporary !== undefined) throw temporary;
  if (hidden) return forbidden(domain);
  if (names.length === 1 && names[0] === domain) throw errors[0];
  return permanent("5.4.4", `No mail host of ${domain} has an address`);
}

const closed = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["224.0.0.0", 3],
] as const) {
  closed.addSubnet(network, bits, "ipv4");
}
for (const [network, bits] of [
  ["::", 128],
  ["::1", 128],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  closed.addSubnet(network, bits, "ipv6");
}

/** A name that anybody can register must not lead to hosts that trust us. */
function permitted(addresses: readonly string[], privateHosts: boolean): readonly string[] {
  if (privateHosts) return addresses;
  return addresses.filter((address) => !closed.check(address, isIPv6(address) ? "ipv6" : "ipv4"));
}

function forbidden(domain: string): Failure {
  return permanent("5.4.4", `The mail of ${domain} leads to an address that is not public`);
}

function permanent(enhanced: NonNullable<Failure["permanent"]>, text: string): Failure {
  return { why: "dns", text, reply: null, permanent: enhanced };
}

const isRoot = (exchange: string | undefined) => exchange === "" || exchange === ".";
const isList = (found: string[] | Failure): found is string[] => Array.isArray(found);

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? "unknown";
}

function isAbsent(error: unknown): boolean {
  return codeOf(error) === "ENOTFOUND" || codeOf(error) === "ENODATA";
}

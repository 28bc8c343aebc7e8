/**
 * Where a request comes from. X-Forwarded-For is believed only from trusted proxies, from right to left.
 *
 * Invariant: a request that some proxy forwarded never counts as one from this machine, trusted proxy or not.
 */
import { BlockList, isIP } from "node:net";

export type Origin = Readonly<{ address: string; loopback: boolean }>;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Networks as `10.0.0.0/8` or single addresses. */
export function networks(list: readonly string[]): BlockList {
  const block = new BlockList();
  for (const entry of list) {
    const [address = "", bits] = entry.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) block.addAddress(address, family);
    else block.addSubnet(address, Number(bits), family);
  }
  return block;
}

export function originOf(
  socketAddress: string,
  forwardedFor: string | undefined,
  forwarded: boolean,
  trusted: BlockList,
): Origin {
  const peer = plain(socketAddress);
  if (!forwarded && forwardedFor === undefined) return { address: peer, loopback: within(loopback, peer) };
  let address = peer;
  for (const hop of (forwardedFor ?? "").split(",").reverse()) {
    const next = plain(hop.trim());
    if (!within(trusted, address) || isIP(next) === 0) break;
    address = next;
  }
  return { address, loopback: false };
}

/** A valid address that lies in one of them. */
export function within(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? "ipv6" : "ipv4");
}

/** An IPv4 address as IPv6 sockets show it loses its prefix. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}

/**
 * The PROXY protocol, versions 1 and 2, as HAProxy and load balancers of clouds speak it
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). It is read from trusted proxies only.
 */
import { BlockList, isIP } from "node:net";

export type ProxyHeader =
  | Readonly<{ kind: "incomplete" }>
  /** The peer speaks for itself: these bytes begin no header. */
  | Readonly<{ kind: "absent" }>
  | Readonly<{ kind: "invalid" }>
  /** `client` is null when the proxy speaks for itself (LOCAL, UNKNOWN). */
  | Readonly<{ kind: "header"; length: number; client: Readonly<{ address: string; port: number }> | null }>;

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const V1_MAX = 107;
const V2_MAX = 1024;
const incomplete = { kind: "incomplete" } as const;
const absent = { kind: "absent" } as const;
const invalid = { kind: "invalid" } as const;

/** @param bytes what has arrived so far. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  const known = Math.min(bytes.length, SIGNATURE.length);
  if (known > 0 && bytes.subarray(0, known).equals(SIGNATURE.subarray(0, known))) return readBinary(bytes);
  const start = bytes.toString("latin1", 0, 6);
  if (!"PROXY ".startsWith(start)) return absent;
  const end = bytes.indexOf("\r\n");
  if (end < 0) return bytes.length >= V1_MAX ? invalid : incomplete;
  return end + 2 > V1_MAX ? invalid : readText(bytes.toString("latin1", 0, end), end + 2);
}

function readText(line: string, length: number): ProxyHeader {
  const [, family, source = "", destination = "", port = "", destinationPort = "", more] = line.split(" ");
  if (family === "UNKNOWN") return { kind: "header", length, client: null };
  const version = family === "TCP4" ? 4 : family === "TCP6" ? 6 : -1;
  const wrong = isIP(source) !== version || isIP(destination) !== version || more !== undefined;
  if (wrong || !isPort(port) || !isPort(destinationPort)) return invalid;
  return { kind: "header", length, client: { address: source.toLowerCase(), port: Number(port) } };
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535;
}

function readBinary(bytes: Buffer): ProxyHeader {
  if (bytes.length < 16) return incomplete;
  const [version, command] = [(bytes[12] as number) >> 4, (bytes[12] as number) & 15];
  const length = 16 + bytes.readUInt16BE(14);
  if (version !== 2 || command > 1 || length > V2_MAX) return invalid;
  if (bytes.length < length) return incomplete;
  const family = (bytes[13] as number) >> 4;
  if (command === 0 || (family !== 1 && family !== 2)) return { kind: "header", length, client: null };
  const size = family === 1 ? 4 : 16;
  if (length < 16 + 2 * size + 4) return invalid;
  const address = family === 1 ? bytes.subarray(16, 20).join(".") : ipv6(bytes.subarray(16, 32));
  return { kind: "header", length, client: { address, port: bytes.readUInt16BE(16 + 2 * size) } };
}

function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, n) => bytes.readUInt16BE(2 * n).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1); // its shortest form
}

/** Tells whether an address is in one of the networks (`10.0.0.0/8`, or a single address). */
export function createNetworks(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (address) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 6 ? "ipv6" : "ipv4");
  };
}

/** The IPv4 address that a socket for both families shows as `::ffff:192.0.2.1`. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "").toLowerCase();
}

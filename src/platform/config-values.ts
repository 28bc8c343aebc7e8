/** How the text of a setting becomes a value. Every refusal says what would be right. */
import { BlockList, isIP } from "node:net";
import { z } from "zod";

type Parse<T> = (text: string) => T | Refusal;
type Refusal = Readonly<{ refusal: string }>;

const refuse = (refusal: string): Refusal => ({ refusal });

function value<T>(parse: Parse<T>) {
  return z.string().transform((text, context): T => {
    const parsed = parse(text.trim());
    if (typeof parsed !== "object" || parsed === null || !("refusal" in parsed)) return parsed as T;
    context.addIssue({ code: "custom", message: parsed.refusal });
    return z.NEVER;
  });
}

export const text = value((given) => given);

export function integer(min: number, max: number) {
  return value((given) => {
    const number = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
    return number >= min && number <= max ? number : refuse(`must be a whole number from ${min} to ${max}`);
  });
}

export const port = integer(0, 65_535);

export function oneOf<const T extends string>(...choices: T[]) {
  return value(
    (given) => choices.find((choice) => choice === given) ?? refuse(`must be one of: ${choices.join(", ")}`),
  );
}

/** A URL of one of these schemes, or nothing. */
export function url(...schemes: string[]) {
  return value((given) => {
    if (given === "") return given;
    const scheme = schemes.find((one) => given.toLowerCase().startsWith(`${one}:`));
    const form = `must be a URL that starts with ${schemes.map((one) => `${one}:`).join(" or ")}`;
    if (scheme === undefined) return refuse(form);
    if (scheme.includes("sentinel")) return given;
    return URL.canParse(given) ? given : refuse(form);
  });
}

export const upstream = value((given) => {
  if (given === "" || /^(capture|mx):(\?\S*)?$/.test(given)) return given;
  const parsed = URL.parse(given);
  const known = parsed !== null && ["smtp:", "smtps:"].includes(parsed.protocol) && parsed.hostname !== "";
  return known ? given : refuse("must be smtp://[user:password@]host:port[?tls=required], mx: or capture:");
});

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A century: an instant so far away can still be written. */
const MAX_MS = 36_525 * units.d;

function milliseconds(given: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(given);
  if (match === null) return given === "0" ? 0 : undefined;
  const ms = Number(match[1]) * units[match[2] as keyof typeof units];
  return ms <= MAX_MS ? ms : undefined;
}

/** A length of time in milliseconds, at least `minMs`. */
export function duration(minMs: number) {
  return value((given) => {
    const ms = milliseconds(given);
    return ms !== undefined && ms >= minMs
      ? ms
      : refuse("must be a length of time with its unit (s, m, h, d), e.g. 30m or 5d");
  });
}

/** The same, or null for `never`. */
export function durationOrNever(minMs: number) {
  return value((given): number | null | Refusal => {
    if (given === "never") return null;
    const ms = milliseconds(given);
    return ms !== undefined && ms >= minMs
      ? ms
      : refuse(`must be never, or a length of time of at least ${minMs / units.d}d, e.g. 400d`);
  });
}

export const durations = value((given) => {
  const all = given.split(",").map((item) => milliseconds(item.trim()));
  const good = all.every((ms) => ms !== undefined && ms >= 1);
  return good ? (all as number[]) : refuse("must be lengths of time with units, separated by commas, e.g. 5m,15m,1h");
});

/** A signed length of time in milliseconds. */
export const offset = value((given) => {
  const ms = milliseconds(given.replace(/^[+-]/, ""));
  if (ms === undefined) return refuse("must be a signed length of time, e.g. +31d or -2h, or 0");
  return given.startsWith("-") ? 0 - ms : ms;
});

export const domainName = value((given) => {
  const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;
  const good = given === "" || (given.length <= 253 && given.split(".").every((part) => label.test(part)));
  return good ? given : refuse("must be a host name of letters, digits, hyphens and dots");
});

const MAILBOX = /^[^\s@<>"\\,;:()[\]\p{Cc}]+@[^\s@<>"\\,;:()[\]\p{Cc}]+$/u;

export const mailbox = value((given) => {
  const good = given === "" || (given.length <= 254 && MAILBOX.test(given));
  return good ? given : refuse("must be a mail address, e.g. postmeter@mail.example.com");
});

export const host = value((given) => {
  const good = isIP(given) !== 0 || /^[a-z0-9.-]{1,253}$/i.test(given);
  return good ? given : refuse("must be an address or host name to listen on, e.g. 127.0.0.1, 0.0.0.0 or ::");
});

export const networks = value((given) => {
  const all = list(given);
  return all.every(isNetwork)
    ? all
    : refuse("must be addresses or networks separated by commas, e.g. 10.0.0.0/8,fd00::/8");
});

function isNetwork(given: string): boolean {
  const [address = "", bits, ...rest] = given.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}

/** The networks as Node checks them. */
export function networkList(given: readonly string[]): BlockList {
  const listed = new BlockList();
  for (const one of given) {
    const [address = "", bits] = one.split("/");
    const family = isIP(address) === 4 ? "ipv4" : "ipv6";
    if (bits === undefined) listed.addAddress(address, family);
    else listed.addSubnet(address, Number(bits), family);
  }
  return listed;
}

export const resolvers = value((given) => {
  const all = list(given);
  return all.every(isResolver)
    ? all
    : refuse("must be addresses with or without a port, e.g. 9.9.9.9,127.0.0.1:5353,[::1]:53");
});

function isResolver(given: string): boolean {
  if (isIP(given) !== 0) return true;
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(given);
  return match !== null && isIP(match[1] ?? match[2] ?? "") !== 0 && Number(match[3] ?? 53) <= 65_535;
}

/** 32 bytes as base64 (also the URL form); an empty buffer for nothing. */
export const secret = value((given) => {
  if (given !== "" && !/^[A-Za-z0-9+/_-]{43}=?$/.test(given))
    return refuse("must be 32 bytes in base64: openssl rand -base64 32");
  return Buffer.from(given, "base64");
});

export const key = value((given) => {
  const good = given === "" || (given.length >= 8 && given.length <= 200 && /^[\x21-\x7e]+$/.test(given));
  return good ? given : refuse("must be 8 to 200 printable characters without spaces, e.g. pm_op_ and 32 random ones");
});

function list(given: string): string[] {
  return given === "" ? [] : given.split(",").map((item) => item.trim());
}

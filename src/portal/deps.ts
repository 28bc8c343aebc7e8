/** What the pages are given. Everything they can reach stands here. */
import type { BlockList } from "node:net";
import type { Lockout } from "../accounts/lockout.ts";
import type { BrandHosts } from "../branding/hosts.ts";
import type { LetterDeps } from "../letters/send.ts";
import type { Passwords } from "../people/passwords.ts";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Db } from "../platform/database.ts";
import type { Keyring } from "../platform/secrets.ts";

export type PortalOptions = Readonly<{
  db: Db;
  clock: Clock;
  keyring: Keyring;
  passwords: Passwords;
  lockout: Lockout;
  config: Pick<Config, "systemFrom" | "hostname" | "queueLifetimeMs" | "trustedProxies">;
  /** Hosts of brands. Left out: pages without a session are ours. */
  hosts?: BrandHosts;
  /** Base of links, without a slash at the end. */
  publicUrl(): string;
}>;

/** `trusted`: the proxies whose X-Forwarded-For is believed, read once. */
export type PortalDeps = PortalOptions & Readonly<{ trusted: BlockList }>;

export function lettersOf({ clock, keyring, config, publicUrl }: PortalDeps): LetterDeps & Pick<PortalDeps, "keyring"> {
  return { clock, keyring, config: { ...config, publicUrl: publicUrl() } };
}

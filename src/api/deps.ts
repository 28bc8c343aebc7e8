/** What the door for programs is given. Everything it can reach stands here. */
import type { Context, Hono } from "hono";
import type { Authenticator } from "../accounts/authenticate.ts";
import type { InviteDeps } from "../people/invitations.ts";
import type { Passwords } from "../people/passwords.ts";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Db } from "../platform/database.ts";
import type { AccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Keyring } from "../platform/secrets.ts";
import type { Env } from "./mount.ts";

/** Names what is not well; empty when all is. It does not ask Redis: acceptance goes on without it. */
export type Readiness = () => Promise<readonly string[]>;

export type ApiConfig = Pick<
  Config,
  | "httpHost"
  | "httpPort"
  | "metricsPort"
  | "trustedProxies"
  | "dnsServers"
  | "hostname"
  | "submissionPort"
  | "submissionsPort"
  | "systemFrom"
  | "queueLifetimeMs"
  | "retentionClosedMs"
>;

/** Pages for people, behind the same port. */
export type Pages = Readonly<{
  app: Hono<Env>;
  /** In place of a problem, for a browser that asks for a path where there is nothing. */
  answerUnknown(c: Context<Env>, status: 404 | 405): Promise<Response>;
}>;

export type Deps = Readonly<{
  db: Db;
  clock: Clock;
  log: Log;
  keyring: Keyring;
  metrics: Metrics;
  /** The text of /metrics where this process is one of several; else that of `metrics`. */
  scrape?: () => Promise<string>;
  config: ApiConfig;
  authenticator: Pick<Authenticator, "key" | "forget">;
  passwords: Passwords;
  /** Base of links, without a slash at the end. */
  publicUrl(): string;
  portal?: Pages;
  /** Tells the gate what the rows of an account say now. */
  publish(accountId: AccountId): Promise<void>;
  ready: Readiness;
}>;

/** For verbs that write letters and links. */
export function lettersOf({ clock, keyring, config, publicUrl }: Deps): InviteDeps {
  return { clock, keyring, config: { ...config, publicUrl: publicUrl() } };
}

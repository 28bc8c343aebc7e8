/** What the door for programs is given. Everything it can reach stands here. */
import type { Authenticator } from "../accounts/authenticate.ts";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Db } from "../platform/database.ts";
import type { AccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Keyring } from "../platform/secrets.ts";

/** Names what is not well; empty when all is. It does not ask Redis: acceptance goes on without it. */
export type Readiness = () => Promise<readonly string[]>;

export type ApiConfig = Pick<Config, "httpHost" | "httpPort" | "metricsPort" | "trustedProxies" | "dnsServers">;

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
  /** Tells the gate what the rows of an account say now. */
  publish(accountId: AccountId): Promise<void>;
  ready: Readiness;
}>;

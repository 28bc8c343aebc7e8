/**
 * Every setting: its variable, its meaning and what it may be. The place of a setting in config/*.json is its variable
 * in camel case (POSTMETER_HTTP_PORT: httpPort); its default stands in config/default.json.
 */
import type { z } from "zod";
import * as is from "./config-values.ts";

export type Setting<S extends z.ZodType = z.ZodType> = Readonly<{
  variable: string;
  meaning: string;
  schema: S;
  /** Never shown. */
  secret: boolean;
}>;

function setting<S extends z.ZodType>(variable: string, schema: S, meaning: string): Setting<S> {
  return { variable: `POSTMETER_${variable}`, schema, meaning, secret: false };
}

function hidden<S extends z.ZodType>(variable: string, schema: S, meaning: string): Setting<S> {
  return { ...setting(variable, schema, meaning), secret: true };
}

/** Three months: nothing that is still running, closing or being corrected is ever taken out of the database. */
export const LEAST_LEDGER_MS = 93 * 86_400_000;

const database = is.url("postgresql", "postgres");
const redis = is.url("redis", "rediss", "redis+sentinel");
const logLevel = is.oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent");

export const settings = {
  databaseUrl: hidden("DATABASE_URL", database, "PostgreSQL 15 or later; empty: an embedded one in the data folder"),
  redisUrl: hidden("REDIS_URL", redis, "Redis 7 or later, or Valkey; empty: the quota gate works in PostgreSQL only"),
  dataDir: setting("DATA_DIR", is.text, "folder of the embedded database and of what is made at the first start"),
  submissionHost: setting("SUBMISSION_HOST", is.host, "address on which SMTP listens"),
  submissionPort: setting("SUBMISSION_PORT", is.port, "SMTP with STARTTLS; 0: a free port"),
  submissionsPort: setting("SUBMISSIONS_PORT", is.port, "SMTP with implicit TLS; 0: off"),
  tlsCert: setting("TLS_CERT", is.text, "PEM file of the certificate chain, read again on SIGHUP; empty: self-signed"),
  tlsKey: setting("TLS_KEY", is.text, "PEM file of the certificate's private key"),
  authCleartext: setting(
    "AUTH_CLEARTEXT",
    is.oneOf("loopback", "never"),
    "loopback: AUTH without TLS from 127.0.0.0/8 and ::1",
  ),
  httpHost: setting("HTTP_HOST", is.host, "address on which the API listens"),
  httpPort: setting("HTTP_PORT", is.port, "port of the API; 0: a free port"),
  metricsPort: setting("METRICS_PORT", is.port, "port of /metrics, /healthz and /readyz; 0: on the HTTP port"),
  upstreamUrl: hidden(
    "UPSTREAM_URL",
    is.upstream,
    "default route: smtp://[user:password@]host:port[?tls=required], mx: or capture:",
  ),
  operatorKey: hidden(
    "OPERATOR_KEY",
    is.key,
    "API key of the operator, taken as it is: let it be long and random; required by serve, made at the first start by dev",
  ),
  publicUrl: setting(
    "PUBLIC_URL",
    is.url("https", "http"),
    "base of the links in mails; empty: from the API's host and port",
  ),
  secret: hidden(
    "SECRET",
    is.secret,
    "32 bytes in base64 that key the stored hashes; required by serve, made at the first start by dev",
  ),
  maxMessageBytes: setting("MAX_MESSAGE_BYTES", is.integer(1024, 268_435_456), "size of a message, in bytes"),
  maxRecipients: setting("MAX_RECIPIENTS", is.integer(1, 100_000), "recipients of a message"),
  retryScheduleMs: setting("RETRY_SCHEDULE", is.durations, "waits between attempts; the last one repeats"),
  queueLifetimeMs: setting("QUEUE_LIFETIME", is.duration(1000), "after this a message is given up and returned"),
  hostname: setting("HOSTNAME", is.domainName, "name in banner, EHLO, Received and reports; empty: the machine's"),
  systemFrom: setting("SYSTEM_FROM", is.mailbox, "sender of alerts; empty: postmeter@ and the host name"),
  trustedProxies: setting(
    "TRUSTED_PROXIES",
    is.networks,
    "networks whose PROXY header (SMTP; may be left out) and X-Forwarded-For (HTTP) are believed",
  ),
  maxConnectionsPerClient: setting(
    "MAX_CONNECTIONS_PER_CLIENT",
    is.integer(1, 1_000_000),
    "SMTP connections from one address",
  ),
  retentionBodiesMs: setting("RETENTION_BODIES", is.duration(0), "how long contents are kept after delivery"),
  retentionMessagesMs: setting(
    "RETENTION_MESSAGES",
    is.duration(0),
    "how long messages and recipients are kept after delivery",
  ),
  retentionEventsMs: setting("RETENTION_EVENTS", is.duration(0), "how long events are kept"),
  retentionClosedMs: setting(
    "RETENTION_CLOSED",
    is.duration(0),
    "how long a closed subaccount is kept before the operator may purge it",
  ),
  statementGraceMs: setting(
    "STATEMENT_GRACE",
    is.duration(0),
    "how long after a period's end its statement is closed: counters of refusals that a node could not write may come until then",
  ),
  retentionLedgerMs: setting(
    "RETENTION_LEDGER",
    is.durationOrNever(LEAST_LEDGER_MS),
    "how long a month of the ledger stays in the database after its end, before it goes into a file of the archive; never, or at least 93d",
  ),
  archiveDir: setting(
    "ARCHIVE_DIR",
    is.text,
    "folder of the ledger's archive, on the node that runs the jobs; empty: archive in the data folder",
  ),
  clockOffsetMs: setting(
    "CLOCK_OFFSET",
    is.offset,
    "development and tests only: shifts the program's clock, e.g. +31d",
  ),
  processes: setting("PROCESSES", is.integer(1, 64), "worker processes on this machine"),
  dnsServers: setting(
    "DNS_SERVERS",
    is.resolvers,
    "resolvers of domain checks and MX look-ups, host:port,...; empty: the system's",
  ),
  logLevel: setting("LOG_LEVEL", logLevel, "trace, debug, info, warn, error, fatal or silent"),
} as const;

export type Settings = { [K in keyof typeof settings]: z.output<(typeof settings)[K]["schema"]> };
export type SettingName = keyof typeof settings;

/** The member of config/*.json: `POSTMETER_HTTP_PORT` is `httpPort`. */
export function memberOf(variable: string): string {
  return variable
    .replace(/^POSTMETER_/, "")
    .toLowerCase()
    .replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

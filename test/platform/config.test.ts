import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { baseUrl, type Config, ConfigError, loadConfig, type Profile, showConfig } from "../../src/platform/config.ts";
import { exampleFile } from "../../src/platform/config-example.ts";
import { networkList } from "../../src/platform/config-values.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "postmeter-config-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const secret = Buffer.alloc(32, 7).toString("base64");
const served = {
  POSTMETER_UPSTREAM_URL: "capture:",
  POSTMETER_OPERATOR_KEY: "pm_op_1234567890123456789012345678",
  POSTMETER_SECRET: secret,
};

function load(env: NodeJS.ProcessEnv = {}, profile: Profile = "dev"): Config {
  return loadConfig({ POSTMETER_DATA_DIR: dataDir, ...env }, profile);
}

function problems(env: NodeJS.ProcessEnv, profile: Profile = "dev"): readonly string[] {
  try {
    load(env, profile);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe("defaults", () => {
  test("are those that the contract promises", () => {
    expect(load()).toMatchObject({
      submissionHost: "127.0.0.1",
      submissionPort: 2587,
      submissionsPort: 2465,
      httpPort: 8080,
      maxMessageBytes: 26_214_400,
      maxRecipients: 1000,
      retryScheduleMs: [300_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000],
      queueLifetimeMs: 432_000_000,
      retentionBodiesMs: 3_600_000,
      retentionMessagesMs: 2_592_000_000,
      retentionClosedMs: 7_776_000_000,
      statementGraceMs: 3_600_000,
      retentionLedgerMs: null,
      archiveDir: join(dataDir, "archive"),
      authCleartext: "loopback",
      upstreamUrl: "capture:",
      publicUrl: "http://127.0.0.1:8080",
    });
    expect(load(served, "serve").authCleartext).toBe("never");
  });

  test("stand in the example file, with every variable", () => {
    const file = join(import.meta.dirname, "..", "..", "config", "postmeter.env.example");
    expect(readFileSync(file, "utf8")).toBe(exampleFile());
  });

  test("an empty variable counts as not set", () => {
    expect(load({ POSTMETER_HTTP_PORT: "", POSTMETER_RETRY_SCHEDULE: " " }).httpPort).toBe(8080);
  });
});

describe("refusals", () => {
  test("every bad value is named at once, one line each", () => {
    const found = problems({
      POSTMETER_HTTP_PORT: "70000",
      POSTMETER_QUEUE_LIFETIME: "5",
      POSTMETER_TRUSTED_PROXIES: "10.0.0.0/33",
      POSTMETER_AUTH_CLEARTEXT: "always",
    });
    expect(found).toHaveLength(4);
    expect(found.join("\n")).toContain("POSTMETER_HTTP_PORT=70000: must be a whole number from 0 to 65535");
    for (const line of found) expect(line).not.toContain("\n");
  });

  test("does not show a key or a password in a URL that stands in the wrong variable", () => {
    const [port, name] = problems({ POSTMETER_HTTP_PORT: "pm_op_hunter2", POSTMETER_HOSTNAME: "smtp://u:hunter2@x" });
    expect(port).toContain("POSTMETER_HTTP_PORT=pm_op_[redacted]: must be");
    expect(`${port}${name}`).not.toContain("hunter2");
  });

  test.each([
    ["POSTMETER_DATABASE_URL", "mysql://x"],
    ["POSTMETER_REDIS_URL", "http://x"],
    ["POSTMETER_SUBMISSION_HOST", "a b"],
    ["POSTMETER_SUBMISSION_PORT", "-1"],
    ["POSTMETER_UPSTREAM_URL", "smtp://"],
    ["POSTMETER_UPSTREAM_URL", "mx:example.com"],
    ["POSTMETER_OPERATOR_KEY", "short"],
    ["POSTMETER_PUBLIC_URL", "ftp://x"],
    ["POSTMETER_SECRET", "c2hvcnQ="],
    ["POSTMETER_MAX_MESSAGE_BYTES", "25MB"],
    ["POSTMETER_MAX_RECIPIENTS", "0"],
    ["POSTMETER_RETRY_SCHEDULE", "5m,,1h"],
    ["POSTMETER_HOSTNAME", "under_score"],
    ["POSTMETER_SYSTEM_FROM", "nobody"],
    ["POSTMETER_RETENTION_EVENTS", "30 days"],
    ["POSTMETER_RETENTION_LEDGER", "92d"],
    ["POSTMETER_RETENTION_LEDGER", "0"],
    ["POSTMETER_RETENTION_LEDGER", "400"],
    ["POSTMETER_RETENTION_LEDGER", "no"],
    ["POSTMETER_CLOCK_OFFSET", "tomorrow"],
    ["POSTMETER_PROCESSES", "1.5"],
    ["POSTMETER_DNS_SERVERS", "resolver.example:53"],
    ["POSTMETER_LOG_LEVEL", "loud"],
  ])("%s=%s is refused by name", (variable, value) => {
    const found = problems({ [variable]: value });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(new RegExp(`^${variable}[=:]`));
  });

  test("an unknown variable is refused with the nearest known one", () => {
    expect(problems({ POSTMETER_HTP_PORT: "1" })[0]).toMatch(
      /^POSTMETER_HTP_PORT: .*did you mean POSTMETER_HTTP_PORT\?/,
    );
    expect(problems({ POSTMETER_ZZZZZZZZZZZZ: "1" })[0]).not.toContain("did you mean");
  });

  test("what Kubernetes injects for a service of that name is passed over", () => {
    const injected = {
      POSTMETER_SERVICE_HOST: "10.0.0.1",
      POSTMETER_PORT: "tcp://10.0.0.1:25",
      POSTMETER_PORT_25_TCP: "x",
    };
    expect(problems(injected)).toEqual([]);
  });

  test("serve names all that it can't do without", () => {
    const found = problems({}, "serve").join("\n");
    for (const variable of Object.keys(served)) expect(found).toContain(`${variable}: required`);
    expect(problems(served, "serve")).toEqual([]);
  });

  test("a certificate without its key, and two servers on one port, are refused", () => {
    expect(problems({ POSTMETER_TLS_CERT: "/x.pem" })[0]).toContain("POSTMETER_TLS_KEY");
    expect(problems({ POSTMETER_HTTP_PORT: "2587" })[0]).toContain("already taken by POSTMETER_SUBMISSION_PORT");
    expect(problems({ POSTMETER_HTTP_PORT: "0", POSTMETER_SUBMISSION_PORT: "0" })).toEqual([]);
  });

  test("messages that would be kept longer than their charges are refused", () => {
    const kept = (messages: string, ledger: string) =>
      problems({ POSTMETER_RETENTION_MESSAGES: messages, POSTMETER_RETENTION_LEDGER: ledger });
    expect(kept("400d", "400d")).toEqual([
      expect.stringMatching(/^POSTMETER_RETENTION_MESSAGES: must be shorter than/),
    ]);
    expect(kept("399d", "400d")).toEqual([]);
    expect(kept("4000d", "never")).toEqual([]);
  });

  test("no secret is ever shown, not even a bad one", () => {
    const found = problems({
      POSTMETER_SECRET: "hunter2!",
      POSTMETER_DATABASE_URL: "hunter2!",
      POSTMETER_OPERATOR_KEY: "hun 2!",
    });
    expect(found).toHaveLength(3);
    expect(found.join("\n")).not.toContain("hun");
    const shown = showConfig({ ...served, POSTMETER_DATABASE_URL: "postgresql://u:hunter2@h/d" }, "serve");
    expect(JSON.stringify(shown)).not.toMatch(/hunter2|pm_op_1|BwcH/);
  });
});

describe("values", () => {
  test("lengths of time carry their unit", () => {
    const config = load({ POSTMETER_RETRY_SCHEDULE: "500ms, 10s,2m", POSTMETER_RETENTION_BODIES: "0" });
    expect(config).toMatchObject({ retryScheduleMs: [500, 10_000, 120_000], retentionBodiesMs: 0 });
    expect(load({ POSTMETER_CLOCK_OFFSET: "+31d" }).clockOffsetMs).toBe(2_678_400_000);
    expect(load({ POSTMETER_CLOCK_OFFSET: "-90m" }).clockOffsetMs).toBe(-5_400_000);
  });

  test("the ledger's archive has a folder, and a retention only where it is asked for", () => {
    const config = load({ POSTMETER_RETENTION_LEDGER: "93d", POSTMETER_ARCHIVE_DIR: join(dataDir, "x", "..", "cold") });
    expect(config).toMatchObject({ retentionLedgerMs: 8_035_200_000, archiveDir: join(dataDir, "cold") });
  });

  test("lists of networks and resolvers are read, in both families", () => {
    const config = load({
      POSTMETER_TRUSTED_PROXIES: "10.0.0.0/8, fd00::/8,192.0.2.7",
      POSTMETER_DNS_SERVERS: "9.9.9.9,127.0.0.1:5353,[::1]:53,::1",
    });
    expect(config.dnsServers).toHaveLength(4);
    const proxies = networkList(config.trustedProxies);
    expect(proxies.check("10.1.2.3")).toBe(true);
    expect(proxies.check("fd00::1", "ipv6")).toBe(true);
    expect(proxies.check("192.0.2.8")).toBe(false);
  });

  test("links in mails lead to an address that can be reached", () => {
    expect(baseUrl("0.0.0.0", 80)).toBe("http://localhost:80");
    expect(baseUrl("::1", 81)).toBe("http://[::1]:81");
    expect(load({ POSTMETER_PUBLIC_URL: "https://relay.example/" }).publicUrl).toBe("https://relay.example");
  });

  test("what follows from other settings is there in production, too", () => {
    const config = load({ ...served, POSTMETER_DATA_DIR: "data", POSTMETER_HTTP_PORT: "80" }, "serve");
    expect(config.hostname).not.toBe("");
    expect(config).toMatchObject({
      dataDir: join(process.cwd(), "data"),
      systemFrom: `postmeter@${config.hostname}`,
      publicUrl: "http://127.0.0.1:80",
      operatorKey: served.POSTMETER_OPERATOR_KEY,
    });
  });

  test("the sender of alerts follows the host name", () => {
    expect(load({ POSTMETER_HOSTNAME: "mx1.example" }).systemFrom).toBe("postmeter@mx1.example");
  });
});

describe("secrets in the data folder", () => {
  test("dev makes them once, for their owner only, and a command of the operator finds the same", () => {
    const first = load();
    expect(first.secret).toHaveLength(32);
    expect(first.operatorKey).toMatch(/^pm_op_[a-z2-7]{32}$/);
    expect(load({}, "tool")).toMatchObject({ secret: first.secret, operatorKey: first.operatorKey });
    expect(statSync(join(dataDir, "secret")).mode & 0o777).toBe(0o600);
    expect(load({ POSTMETER_SECRET: secret }).secret).toEqual(Buffer.alloc(32, 7));
  });

  test("a command against another database makes none: its hashes would fit no other program's", () => {
    const config = load({ POSTMETER_DATABASE_URL: "postgresql://db.example/postmeter" }, "tool");
    expect(config.secret).toHaveLength(0);
  });
});

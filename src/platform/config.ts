/**
 * The one place that reads the environment. A variable wins over config/<profile>.json, which wins over config/default.json;
 * an empty variable counts as not set.
 *
 * On failure: ConfigError names every bad, missing and unknown setting at once, one line each, and what to do. It never shows a secret.
 */
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { keptSecret, makeOperatorKey, makeSecret } from "./kept-secrets.ts";
import { redactText } from "./log.ts";
import { nearest } from "./nearest.ts";
import { memberOf, type SettingName, type Settings, settings } from "./settings.ts";

/** dev: all that is missing is made. serve: production. tool: a command of the operator. */
export type Profile = "dev" | "serve" | "tool";

/** secret: 32 bytes; empty in a tool that has none (createKeyring then says what is missing). */
export type Config = Readonly<Settings>;

export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

type Source = "environment" | "file" | "default";
type Given = Readonly<{ text: string; source: Source }>;

const folder = join(import.meta.dirname, "..", "..", "config");
const files: Record<Profile, string> = { dev: "development.json", serve: "production.json", tool: "production.json" };
const names = Object.keys(settings) as SettingName[];
/** Kubernetes injects these for a service that is called postmeter. */
const foreign = /^POSTMETER_(SERVICE_|PORT)/;

export function loadConfig(env: NodeJS.ProcessEnv, profile: Profile): Config {
  const problems: string[] = unknownVariables(env);
  const given = gather(env, profile, problems);
  const values = parse(given, problems);
  problems.push(...missing(values, profile), ...clashes(values));
  if (problems.length > 0) throw new ConfigError(problems);
  return complete(values as Settings, profile);
}

/** Every setting as it would be used, secrets hidden, for `postmeter config`. */
export function showConfig(
  env: NodeJS.ProcessEnv,
  profile: Profile,
): { variable: string; value: string; source: Source }[] {
  const given = gather(env, profile, []);
  return names.map((name) => {
    const { variable, secret } = settings[name];
    const { text, source } = given[name];
    return { variable, value: secret && text !== "" ? "[hidden]" : redactText(text), source };
  });
}

/** What config/default.json says, as the text of each variable. */
export function defaults(): Record<SettingName, string> {
  const { members } = readFile("default.json", []);
  return Object.fromEntries(names.map((name) => [name, members[memberOf(settings[name].variable)] ?? ""])) as Record<
    SettingName,
    string
  >;
}

function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = new Set<string>(names.map((name) => settings[name].variable));
  return Object.keys(env)
    .filter((name) => name.startsWith("POSTMETER_") && !known.has(name) && !foreign.test(name))
    .sort()
    .map(
      (name) =>
        `${name}: there is no such setting${suggestion(name, known)}; config/postmeter.env.example lists them all`,
    );
}

function suggestion(name: string, known: Set<string>): string {
  const near = nearest(name, known);
  return near === undefined ? "" : ` (did you mean ${near}?)`;
}

function gather(env: NodeJS.ProcessEnv, profile: Profile, problems: string[]): Record<SettingName, Given> {
  const base = readFile("default.json", problems).members;
  const own = readFile(files[profile], problems).members;
  const entries = names.map((name): [SettingName, Given] => {
    const { variable } = settings[name];
    const member = memberOf(variable);
    const fromEnv = env[variable]?.trim() ?? "";
    if (fromEnv !== "") return [name, { text: fromEnv, source: "environment" }];
    const fromFile = own[member];
    if (fromFile !== undefined) return [name, { text: fromFile, source: "file" }];
    return [name, { text: base[member] ?? "", source: "default" }];
  });
  return Object.fromEntries(entries) as Record<SettingName, Given>;
}

function readFile(file: string, problems: string[]): { members: Record<string, string> } {
  const path = join(folder, file);
  if (!existsSync(path)) return { members: {} };
  const known = new Set(names.map((name) => memberOf(settings[name].variable)));
  const members: Record<string, string> = {};
  try {
    const parsed = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    for (const [member, value] of Object.entries(parsed)) {
      if (!known.has(member)) problems.push(`config/${file}: there is no setting ${member}`);
      members[member] = Array.isArray(value) ? value.join(",") : String(value);
    }
  } catch (error) {
    problems.push(`config/${file}: not readable as JSON: ${(error as Error).message}`);
  }
  return { members };
}

function parse(given: Record<SettingName, Given>, problems: string[]): Partial<Settings> {
  const values: Record<string, unknown> = {};
  for (const name of names) {
    const { variable, schema, secret } = settings[name];
    const parsed = schema.safeParse(given[name].text);
    if (parsed.success) values[name] = parsed.data;
    else
      problems.push(
        `${variable}${secret ? "" : `=${redactText(given[name].text).slice(0, 100)}`}: ${parsed.error.issues[0]?.message}`,
      );
  }
  return values as Partial<Settings>;
}

/** What `serve` can't do without. */
function missing(values: Partial<Settings>, profile: Profile): string[] {
  if (profile !== "serve") return [];
  const problems: string[] = [];
  if (values.upstreamUrl === "")
    problems.push("POSTMETER_UPSTREAM_URL: required: where mail goes, e.g. smtp://mail.example.com:587?tls=required");
  if (values.operatorKey === "") problems.push("POSTMETER_OPERATOR_KEY: required: a long random text of your choice");
  if (values.secret?.length === 0)
    problems.push("POSTMETER_SECRET: required: 32 bytes in base64: openssl rand -base64 32");
  return problems;
}

function clashes(values: Partial<Settings>): string[] {
  const problems: string[] = [];
  if ((values.tlsCert === "") !== (values.tlsKey === "")) {
    problems.push("POSTMETER_TLS_CERT and POSTMETER_TLS_KEY: set both, or none for a self-signed certificate");
  }
  const { retentionLedgerMs, retentionMessagesMs } = values;
  if (retentionLedgerMs != null && retentionMessagesMs !== undefined && retentionMessagesMs >= retentionLedgerMs) {
    problems.push(
      "POSTMETER_RETENTION_MESSAGES: must be shorter than POSTMETER_RETENTION_LEDGER: a stored message needs its charge beside it",
    );
  }
  const ports = (["submissionPort", "submissionsPort", "httpPort", "metricsPort"] as const).filter(
    (name) => values[name],
  );
  for (const [i, name] of ports.entries()) {
    const other = ports.slice(0, i).find((one) => values[one] === values[name]);
    if (other !== undefined)
      problems.push(`${settings[name].variable}=${values[name]}: already taken by ${settings[other].variable}`);
  }
  return problems;
}

function complete(values: Settings, profile: Profile): Config {
  const dataDir = resolve(values.dataDir);
  const name = values.hostname || machineName();
  return {
    ...values,
    dataDir,
    archiveDir: values.archiveDir === "" ? join(dataDir, "archive") : resolve(values.archiveDir),
    hostname: name,
    systemFrom: values.systemFrom || `postmeter@${name}`,
    publicUrl: (values.publicUrl || baseUrl(values.httpHost, values.httpPort)).replace(/\/+$/, ""),
    ...ownSecrets(values, dataDir, profile),
  };
}

/** dev makes what is missing; a tool uses what dev has made. */
function ownSecrets(values: Settings, dataDir: string, profile: Profile): Pick<Settings, "secret" | "operatorKey"> {
  const { secret, operatorKey } = values;
  if (profile === "serve") return { secret, operatorKey };
  const make = profile === "dev" || values.databaseUrl === "";
  const kept = (file: string, maker: () => string) => keptSecret(dataDir, file, make ? maker : undefined);
  return {
    secret: secret.length > 0 ? secret : Buffer.from(kept("secret", makeSecret), "base64"),
    operatorKey: operatorKey || kept("operator-key", makeOperatorKey),
  };
}

function machineName(): string {
  const name = hostname().toLowerCase();
  return settings.hostname.schema.safeParse(name).success && name !== "" ? name : "localhost";
}

/** The address under which the API can be reached from here. With `port` 0 in the config, call it with the one taken. */
export function baseUrl(host: string, port: number): string {
  const reachable = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `http://${reachable}:${port}`;
}

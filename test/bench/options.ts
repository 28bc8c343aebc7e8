/** What `npm run bench -- ...` understands. */
import { parseArgs } from "node:util";
import { type Tls, tlsKinds } from "./connection.ts";
import { harakaInstall } from "./haraka.ts";
import { readNumbers } from "./numbers.ts";
import { type TargetName, targetNames } from "./target.ts";

export type Options = Readonly<{
  sessions: readonly number[];
  sizes: readonly number[]; // bytes
  connections: readonly ("kept" | "single")[];
  rounds: number;
  seconds: number; // of sending in each round
  targets: readonly TargetName[];
  before: string | null; // folder of another checkout
  haraka: string | null; // folder in which it is installed
  tls: readonly Tls[];
  pipelining: boolean;
  processes: number; // POSTMETER_PROCESSES
  subaccounts: number;
  generators: number;
  postfix: readonly string[];
  fsyncMs: number; // added to each fsync of PostgreSQL and of the peers
  disk: string;
  memory: string;
  html: string;
  json: string | null;
  profile: string | null;
  quick: boolean;
}>;

export const help = `Usage: npm run bench -- [options]
       npm run bench -- growth [options]   does cost stay flat as the work grows? (growth --help)

Starts Postmeter on a real PostgreSQL and Redis, and Debian's Postfix where it is installed, drives both with the same
generator in alternating rounds, and shows medians. Exits with 1 if a message was lost, doubled or miscounted; it judges
no figures.

  --quick                  a smoke run of about a minute: one round of 2 s, 20 sessions
  --sessions 1,20,100      sessions at a time
  --sizes 4096,51200       bytes of a message
  --connections kept,single   kept: a session sends all its mail on one connection; single: one message per connection
  --rounds 5               rounds per target and scenario; medians are shown
  --seconds 4              seconds of sending per round
  --targets relay,postfix-tmpfs,postfix-disk   also: sink (nothing between generator and sink)
  --haraka FOLDER          one more peer: a folder in which ${harakaInstall} was run
  --before FOLDER          another checkout of Postmeter, set up, as one more target: what a change is worth
  --tls off,starttls,implicit   ways into Postmeter, each a line of its own; off unless told (the peers stay without)
  --pipelining             MAIL, RCPT and DATA in one write, as mail servers do
  --processes 1            POSTMETER_PROCESSES
  --subaccounts 1          the sessions log in as so many subaccounts, in turn
  --generators 1           processes of the generator
  --postfix name=value     a further setting of main.cf; may be given more than once
  --fsync-ms 1             each fsync of PostgreSQL and of the peers takes so many milliseconds longer (needs cc)
  --disk /var/tmp          folder on the disk that is measured
  --memory /dev/shm        folder on tmpfs, for the peer that pays no disk
  --html data/bench.html   the page with plots
  --json FILE              all figures of all rounds
  --profile FOLDER         a CPU profile of the relay, written when it ends
  --help

Needs Linux, and root for Postfix.`;

/** The text of what is wrong, or the options; null asks for the help. */
export function readOptions(args: readonly string[]): Options | string | null {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return (error as Error).message;
  }
  if (values.help) return null;
  const quick = values.quick ?? false;
  const problems: string[] = [];
  const numbers = (name: string, text: string, least?: number) => readNumbers(name, text, problems, least);
  const oneOf = <T extends string>(name: string, text: string, known: readonly T[]): T[] => {
    const list = text.split(",") as T[];
    if (list.some((one) => !known.includes(one))) problems.push(`--${name}: ${known.join(", ")}; not ${text}`);
    return list;
  };
  const options: Options = {
    sessions: numbers("sessions", values.sessions ?? (quick ? "20" : "1,20,100")),
    sizes: numbers("sizes", values.sizes ?? "4096,51200"),
    connections: oneOf("connections", values.connections ?? "kept,single", ["kept", "single"]),
    rounds: numbers("rounds", values.rounds ?? (quick ? "1" : "5"))[0]!,
    seconds: numbers("seconds", values.seconds ?? (quick ? "2" : "4"))[0]!,
    targets: oneOf("targets", targetsOf(values), targetNames),
    ...placesOf(values),
    tls: oneOf("tls", values.tls ?? "off", tlsKinds),
    pipelining: values.pipelining ?? false,
    processes: numbers("processes", values.processes ?? "1")[0]!,
    subaccounts: numbers("subaccounts", values.subaccounts ?? "1")[0]!,
    generators: numbers("generators", values.generators ?? "1")[0]!,
    postfix: values.postfix ?? [],
    fsyncMs: numbers("fsync-ms", values["fsync-ms"], 0)[0]!,
    disk: values.disk ?? "/var/tmp",
    memory: values.memory ?? "/dev/shm",
    quick,
  };
  if (options.sizes.some((size) => size < 512)) problems.push("--sizes: at least 512 bytes");
  return problems.length > 0 ? problems.join("\n") : options;
}

function placesOf({ before, haraka, html, json, profile }: ReturnType<typeof parse>) {
  return {
    before: before ?? null,
    haraka: haraka ?? null,
    html: html ?? "data/bench.html",
    json: json ?? null,
    profile: profile ?? null,
  };
}

type Named = Readonly<{ targets?: string | undefined; before?: string | undefined; haraka?: string | undefined }>;

function targetsOf({ targets, before, haraka }: Named): string {
  const named = (targets ?? "relay,postfix-tmpfs,postfix-disk").split(",");
  const further = [haraka === undefined ? [] : "haraka", before === undefined ? [] : "before"].flat();
  return [...new Set([...named, ...further])].join(",");
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { ...flag, short: "h" },
      quick: flag,
      pipelining: flag,
      sessions: text,
      sizes: text,
      connections: text,
      rounds: text,
      seconds: text,
      targets: text,
      before: text,
      haraka: text,
      tls: text,
      processes: text,
      subaccounts: text,
      generators: text,
      postfix: { ...text, multiple: true },
      "fsync-ms": { ...text, default: "0" },
      disk: text,
      memory: text,
      html: text,
      json: text,
      profile: text,
    },
  });
  return values;
}

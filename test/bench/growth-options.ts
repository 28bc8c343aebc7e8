/** What `npm run bench -- growth ...` understands. */
import { parseArgs } from "node:util";
import { readNumbers } from "./numbers.ts";

export const subjectNames = [
  "processes",
  "subaccounts",
  "backlog",
  "ledger",
  "refusals",
  "fairness",
  "api",
  "tables",
  "logins",
  "windows",
  "statements",
] as const;
export type SubjectName = (typeof subjectNames)[number];

export type GrowthOptions = Readonly<{
  only: readonly SubjectName[];
  processes: readonly number[];
  subaccounts: readonly number[];
  masters: number;
  backlog: number;
  ledger: number;
  customers: number; // subaccounts of the ledger's master
  flood: number;
  rounds: number;
  seconds: number;
  sessions: number;
  calls: number; // of the API, per question
  disk: string;
  html: string;
  json: string | null;
}>;

export const growthHelp = `Usage: npm run bench -- growth [options]

Does cost stay flat as the work grows? Starts Postmeter on a real PostgreSQL and Redis, fills its tables by bulk loads that
agree with its books, and shows each figure beside its goal. It judges no figures: it exits with 1 if a message was lost,
doubled or miscounted, or if something failed.

  processes     what each further process on this machine adds
  subaccounts   delivered rate and p99 while 1 to 100,000 subaccounts, and then 10,000 masters, exist
  backlog       acceptance, claim and drain before a queue of 1,000,000 messages
  ledger        usage, overviews and a month's statement of 10,000 subaccounts over 50,000,000 entries
  refusals      how many a process gives per second, and what 50 sessions at their limit cost the others
  fairness      how long one message waits behind another tenant's flood of 200,000
  api           lists of 100,000 subaccounts: filtered, searched, sorted
  tables        100,000 subaccounts downloaded as CSV, 10,000 previewed and imported: time and memory
  logins        what people who log in at the same time cost those who send
  windows       what short-term limits and a reserve cost each message
  statements    what the month's end of 10,000 masters costs those who send

  --only a,b               these subjects; all unless told
  --quick                  small sizes, a minute or two in all: it shows that the bench works, not what Postmeter does
  --processes 1,2          POSTMETER_PROCESSES
  --subaccounts 1,100,10000,100000
  --masters 10000
  --backlog 1000000        messages in the queue (10 to 25 GB of disk)
  --ledger 50000000        entries (12 GB of disk)
  --customers 10000        subaccounts of the ledger's master
  --flood 200000           messages of the flooding tenant
  --rounds 5               per side; sides alternate, medians are shown
  --seconds 4              of sending per round
  --sessions 20
  --calls 300              of the API, per question
  --disk /var/tmp          folder on the disk that is measured
  --html data/growth.html  the page with curves
  --json FILE              all figures
  --help`;

const full = {
  subaccounts: "1,100,10000,100000",
  masters: "10000",
  backlog: "1000000",
  ledger: "50000000",
  customers: "10000",
  flood: "200000",
  rounds: "5",
  seconds: "4",
  calls: "300",
} as const;

const quick: typeof full | Record<keyof typeof full, string> = {
  subaccounts: "1,100",
  masters: "10",
  backlog: "2000",
  ledger: "20000",
  customers: "100",
  flood: "2000",
  rounds: "1",
  seconds: "1",
  calls: "20",
};

/** The text of what is wrong, or the options; null asks for the help. */
export function readGrowthOptions(args: readonly string[]): GrowthOptions | string | null {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return (error as Error).message;
  }
  if (values.help) return null;
  const usual = values.quick ? quick : full;
  const problems: string[] = [];
  const numbers = (name: keyof typeof full | "processes" | "sessions", otherwise: string) =>
    readNumbers(name, values[name] ?? otherwise, problems);
  const number = (name: Exclude<keyof typeof full, "subaccounts">): number => numbers(name, usual[name])[0]!;
  const only = (values.only ?? subjectNames.join(",")).split(",") as SubjectName[];
  if (only.some((name) => !subjectNames.includes(name))) problems.push(`--only: ${subjectNames.join(", ")}`);
  const options: GrowthOptions = {
    only,
    processes: numbers("processes", "1,2"),
    subaccounts: numbers("subaccounts", usual.subaccounts),
    masters: number("masters"),
    backlog: number("backlog"),
    ledger: number("ledger"),
    customers: number("customers"),
    flood: number("flood"),
    rounds: number("rounds"),
    seconds: number("seconds"),
    sessions: numbers("sessions", "20")[0]!,
    calls: number("calls"),
    disk: values.disk ?? "/var/tmp",
    html: values.html ?? "data/growth.html",
    json: values.json ?? null,
  };
  return problems.length > 0 ? problems.join("\n") : options;
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { ...flag, short: "h" },
      quick: flag,
      only: text,
      processes: text,
      subaccounts: text,
      masters: text,
      backlog: text,
      ledger: text,
      customers: text,
      flood: text,
      rounds: text,
      seconds: text,
      sessions: text,
      calls: text,
      disk: text,
      html: text,
      json: text,
    },
  });
  return values;
}

/** `postmeter master`: resellers. */
import { type Command, Option } from "commander";
import type { Master } from "../accounts/account.ts";
import { changeMaster } from "../accounts/change-master.ts";
import { createMaster } from "../accounts/create-master.ts";
import { findMaster } from "../accounts/find.ts";
import { listMasters, masterSorts } from "../accounts/list-masters.ts";
import { type MasterDetails, masterFields } from "../accounts/master-fields.ts";
import type { Sort } from "../accounts/sort.ts";
import { type MasterState, masterStates } from "../accounts/states.ts";
import { transitionMaster } from "../accounts/transition.ts";
import { formatId, type MasterId } from "../platform/ids.ts";
import type { NotificationEmail } from "../platform/schema.ts";
import * as input from "./input.ts";
import { facts, instant, table } from "./layout.ts";
import { operator } from "./session.ts";
import { masterShape } from "./shape.ts";
import { type Cli, group, type Options, runWith, type Shown, verb } from "./verb.ts";

const anId = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addMasterCommands(program: Command, cli: Cli): void {
  const master = group(program, "master", "resellers: create, change, suspend, close");
  addList(master, cli);
  verb(master, "show", "one master", [`master show ${anId}`])
    .argument("<id>", "mas_...", input.idOf("mas"))
    .action((id: MasterId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => shownMaster(await findMaster(db, operator, id, clock))),
    );
  addCreate(master, cli);
  addChange(master, cli);
  addTransitions(master, cli);
}

type ListOptions = Options & {
  q?: string;
  state?: MasterState[];
  sort?: Sort<(typeof masterSorts)[number]>[];
  limit: number;
};

function addList(master: Command, cli: Cli): void {
  verb(master, "list", "masters, oldest first", ["master list", "master list --state suspended --json"])
    .option("-q, --q <text>", "a part of the name")
    .option("--state <states>", masterStates.join(", "), input.listOf(masterStates))
    .option("--sort <order>", `${masterSorts.join(", ")}; -name sorts downwards`, input.sortBy(masterSorts))
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action(({ q, state, sort, limit, ...options }: ListOptions) =>
      runWith(cli, options, async ({ db, clock }) => {
        const { items, next } = await listMasters(db, operator, { q, states: state, sort, limit }, clock);
        const rows = items.map((one) => [
          formatId("mas", one.id),
          one.name,
          one.state,
          one.allowance ?? "none",
          one.overage,
        ]);
        return {
          json: { data: items.map(masterShape), has_more: next !== null },
          text: table(["id", "name", "state", "allowance", "overage"], rows, "There is no master."),
        };
      }),
    );
}

type DetailOptions = Options &
  Omit<MasterDetails, "notificationEmails" | "allowance"> & {
    email?: NotificationEmail[];
    allowance?: number | input.None;
  };

function withDetails(command: Command): Command {
  return command
    .option(
      "--email <address>",
      "hears alerts; address=quota,billing for those topics; repeat it",
      input.notificationEmail,
    )
    .addOption(
      new Option("--overage <how>", "above the allowance: refused, or billed up to the ceiling").choices([
        "block",
        "bill",
      ]),
    )
    .option("--ceiling-factor <n>", "with overage bill: never more than allowance x n", input.decimal)
    .option("--anchor-day <day>", "the day of the month a period starts, 1 to 31", input.whole)
    .option("--time-zone <zone>", "of its periods, e.g. Europe/Berlin")
    .addOption(new Option("--sender-policy <policy>", "who may be the sender").choices(["verified", "any"]))
    .option("--strict-allocation", "the limits of its subaccounts never exceed the allowance together")
    .option("--no-strict-allocation", "they may")
    .option("--alert-thresholds <percents>", "e.g. 80,90,95,100", input.percents)
    .addOption(
      new Option("--alert-delivery <how>", "alerts at once, or together at 08:00").choices([
        "immediately",
        "daily",
        "weekly",
      ]),
    )
    .option("--expires-at <time>", "the end date, or none", input.instantOrNone);
}

function detailsOf({ json: _, email, ...options }: DetailOptions): MasterDetails {
  const known = Object.entries(input.withNulls(options)).filter(([name]) => name in masterFields);
  return { ...Object.fromEntries(known), ...(email === undefined ? {} : { notificationEmails: email }) };
}

function addCreate(master: Command, cli: Cli): void {
  const examples = [
    'master create --name "Acme Hosting" --allowance 100000 --email ops@acme.example',
    "master create --name Test --allowance none --email me@example.org --sender-policy any --json",
  ];
  const command = verb(master, "create", "a master, its own subaccount and its first API key", examples)
    .requiredOption("--name <name>", "shown to people")
    .requiredOption("--allowance <units>", "recipients in a period, or none", input.unitsOrNone);
  withDetails(command).action((options: DetailOptions & { name: string; allowance: number | input.None }) =>
    runWith(cli, options, async ({ db, clock, keyring }) => {
      const { name, allowance, email = [] } = input.withNulls(options);
      const details = { ...detailsOf(options), name, allowance, notificationEmails: email };
      const { master: created, apiKey } = await createMaster(db, operator, details, keyring(), clock);
      const { json, text } = shownMaster(created);
      return {
        json: { ...(json as object), api_key: { id: formatId("key", apiKey.apiKey.id), key: apiKey.key } },
        text: `${text}\n\nAPI key (shown once)  ${apiKey.key}`,
      };
    }),
  );
}

function addChange(master: Command, cli: Cli): void {
  const examples = [
    `master change ${anId} --allowance 200000`,
    `master change ${anId} --overage bill --ceiling-factor 2`,
  ];
  withDetails(verb(master, "change", "members of a master; what is not given stays", examples))
    .argument("<id>", "mas_...", input.idOf("mas"))
    .option("--name <name>", "shown to people")
    .option("--allowance <units>", "recipients in a period, or none", input.unitsOrNone)
    .action((id: MasterId, options: DetailOptions) =>
      runWith(cli, options, async ({ db, clock, publish }) => {
        const changed = await changeMaster(db, operator, id, detailsOf(options), {}, clock);
        await publish(id);
        return shownMaster(changed);
      }),
    );
}

const transitions = {
  suspend: "accept nothing any more; its queues are held, its API only reads",
  resume: "end a suspension",
  close: "accept nothing any more; keys and credentials open nothing",
  reopen: "reopen a closed master",
} as const;

function addTransitions(master: Command, cli: Cli): void {
  for (const [name, summary] of Object.entries(transitions)) {
    verb(master, name, summary, [`master ${name} ${anId}`])
      .argument("<id>", "mas_...", input.idOf("mas"))
      .action((id: MasterId, options: Options) =>
        runWith(cli, options, async ({ db, clock, publish }) => {
          const changed = await transitionMaster(db, operator, id, name as keyof typeof transitions, {}, clock);
          await publish(id);
          return shownMaster(changed);
        }),
      );
  }
}

function shownMaster(master: Master): Shown {
  const { anchorDay, timeZone, next } = master.calendar;
  const emails = master.notificationEmails.map((entry) =>
    typeof entry === "string" ? entry : `${entry.email} (${entry.topics})`,
  );
  const text = facts({
    id: formatId("mas", master.id),
    name: master.name,
    state: master.state,
    allowance: master.allowance ?? "none",
    overage: master.overage === "bill" ? `bill, up to ${master.ceilingFactor} x allowance` : master.overage,
    periods: `from day ${anchorDay}, ${timeZone}`,
    ...(next && { "periods then": `from day ${next.anchorDay}, ${next.timeZone}, at ${instant(next.changesAt)}` }),
    "sender policy": master.senderPolicy,
    "strict allocation": master.strictAllocation,
    "notification emails": emails.join(", "),
    "alert thresholds": master.alertThresholds.join(", "),
    "alert delivery": master.alertDelivery,
    language: master.language,
    "own subaccount": formatId("sub", master.ownSubaccountId),
    expires: master.expiresAt ?? undefined,
    created: master.createdAt,
  });
  return { json: masterShape(master), text };
}

/** `postmeter subaccount`: the customers of a reseller. */
import type { Command } from "commander";
import { changeSubaccount } from "../accounts/change-subaccount.ts";
import { findSubaccount } from "../accounts/find.ts";
import { listSubaccounts, type SubaccountSort, subaccountSorts } from "../accounts/list-subaccounts.ts";
import type { Sort } from "../accounts/sort.ts";
import { type ShownState, shownStates } from "../accounts/states.ts";
import { type SubaccountDetails, subaccountFields } from "../accounts/subaccount-fields.ts";
import { onboardSubaccount } from "../people/owner.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import type { NotificationEmail } from "../platform/schema.ts";
import { addErasureCommands } from "./erasure.ts";
import { addImport } from "./import.ts";
import * as input from "./input.ts";
import { table } from "./layout.ts";
import { addLifecycleCommands } from "./lifecycle.ts";
import { operator } from "./session.ts";
import { credentialShape, subaccountShape } from "./shape.ts";
import { shownSubaccount } from "./subaccount-view.ts";
import { addSubaccountTransitions } from "./transitions.ts";
import { type Cli, group, type Options, runWith, verb } from "./verb.ts";

const anId = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";
const aMaster = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addSubaccountCommands(program: Command, cli: Cli): void {
  const subaccount = group(program, "subaccount", "customers of a reseller: create, limit, disable, close");
  addList(subaccount, cli);
  verb(subaccount, "show", "one subaccount with its usage", [`subaccount show ${anId}`])
    .argument("<id>", "sub_...", input.idOf("sub"))
    .action((id: SubaccountId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) =>
        shownSubaccount(db, await findSubaccount(db, operator, id, clock), clock),
      ),
    );
  addCreate(subaccount, cli);
  addChange(subaccount, cli);
  addImport(subaccount, cli);
  addSubaccountTransitions(subaccount, cli);
  addLifecycleCommands(subaccount, cli);
  addErasureCommands(subaccount, cli);
}

type ListOptions = Options & {
  master?: MasterId;
  q?: string;
  state?: ShownState[];
  plan?: string;
  usedPercentGte?: number;
  sort?: Sort<SubaccountSort>[];
  limit: number;
};

function addList(subaccount: Command, cli: Cli): void {
  const examples = [
    `subaccount list --master ${aMaster} --sort -used_percent`,
    "subaccount list --q corner --state active,disabled",
    "subaccount list --used-percent-gte 80 --json",
  ];
  verb(subaccount, "list", "subaccounts, by name", examples)
    .option("--master <id>", "of one master", input.idOf("mas"))
    .option("-q, --q <text>", "a part of name, owner, external id or domain")
    .option("--state <states>", shownStates.join(", "), input.listOf(shownStates))
    .option("--plan <plan>", "of that plan")
    .option("--used-percent-gte <n>", "that have used so much of their limit", input.decimal)
    .option("--sort <order>", `${subaccountSorts.join(", ")}; -name sorts downwards`, input.sortBy(subaccountSorts))
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action(({ master, state, json, ...filter }: ListOptions) =>
      runWith(cli, { ...(json && { json }) }, async ({ db, clock }) => {
        const wanted = { ...filter, masterId: master, states: state, withOwn: true };
        const { items, next } = await listSubaccounts(db, operator, wanted, clock);
        const rows = items.map((one) => [
          formatId("sub", one.id),
          one.name,
          one.own ? `${one.state} (own)` : one.state,
          one.used,
          one.monthlyLimit === null ? "none" : one.monthlyLimit + one.topUp,
          one.usedPercent === null ? "-" : `${Math.floor(one.usedPercent)} %`,
        ]);
        return {
          json: { data: items.map(subaccountShape), has_more: next !== null },
          text: table(["id", "name", "state", "used", "limit", "share"], rows, "There is no such subaccount."),
        };
      }),
    );
}

type DetailOptions = Options &
  Omit<SubaccountDetails, "notificationEmails" | "monthlyLimit" | "metadata"> & {
    email?: NotificationEmail[];
    limit?: number | input.None;
  };

function withDetails(command: Command): Command {
  return command
    .option("--owner-name <name>", "or none", input.textOrNone)
    .option("--owner-email <address>", "or none", input.textOrNone)
    .option("--email <address>", "hears its alerts instead of the master's; repeat it", input.notificationEmail)
    .option("--alert-thresholds <percents>", "e.g. 80,90,95,100", input.percents)
    .option("--external-id <id>", "the master's own id for it, or none", input.textOrNone)
    .option("--slug <slug>", "unique, e.g. corner-shop")
    .option("--plan <plan>", "or none", input.textOrNone)
    .option("--billing-profile <name>", "groups its statement lines, or none", input.textOrNone)
    .option("--accepted-terms-at <time>", "when its owner accepted the terms, or none", input.instantOrNone)
    .option("--region <region>", "or none", input.textOrNone)
    .option("--language <tag>", "e.g. de, or none", input.textOrNone)
    .option("--time-zone <zone>", "e.g. Europe/Berlin, or none", input.textOrNone)
    .option("--notes <text>", "or none", input.textOrNone)
    .option("--expires-at <time>", "the end date, or none", input.instantOrNone);
}

function detailsOf({ json: _, email, ...given }: DetailOptions): SubaccountDetails {
  const { limit, ...options } = input.withNulls(given);
  const known = Object.entries(options).filter(([name]) => name in subaccountFields);
  return {
    ...Object.fromEntries(known),
    ...(limit === undefined ? {} : { monthlyLimit: limit }),
    ...(email === undefined ? {} : { notificationEmails: email }),
  };
}

type CreateOptions = DetailOptions & { master: MasterId; name: string; sandbox?: true; invite?: true };

function addCreate(subaccount: Command, cli: Cli): void {
  const command = verb(subaccount, "create", "a subaccount with its first SMTP credential, shown once", [
    `subaccount create --master ${aMaster} --name "Corner Shop" --limit 5000`,
    `subaccount create --master ${aMaster} --name Test --limit none --external-id c-17 --json`,
  ])
    .requiredOption("--master <id>", "its reseller", input.idOf("mas"))
    .requiredOption("--name <name>", "seen by the master only")
    .option(
      "--limit <units>",
      "recipients in a period; 0: may not send, none: the master's only; needed unless the plan has one",
      input.unitsOrNone,
    )
    .option("--sandbox", "its mail is never delivered, nor billed; for good")
    .option("--invite", "by mail to --owner-email, instead of a credential: it waits until the owner accepts");
  withDetails(command).action((options: CreateOptions) =>
    runWith(cli, options, async ({ db, clock, keyring, config }) => {
      const { master: masterId, name, sandbox, limit: monthlyLimit } = input.withNulls(options);
      const onboarding = options.invite ? ("invite" as const) : ("handover" as const);
      const details = { ...detailsOf(options), masterId, name, monthlyLimit, sandbox, onboarding };
      const letters = { clock, config, keyring: keyring() };
      const { subaccount: created, credential, logInPath } = await onboardSubaccount(db, operator, details, letters);
      const { json, text } = await shownSubaccount(db, created, clock);
      if (credential === null) return { json, text };
      const { credential: shown, password } = credential;
      const url = logInPath === null ? null : `${config.publicUrl}${logInPath}`;
      const link = url === null ? "" : `\nlog-in link (once)     ${url}`;
      return {
        json: { ...(json as object), credential: { ...credentialShape(shown), password }, log_in_url: url },
        text: `${text}\n\nSMTP user name         ${shown.username}\nSMTP password (once)   ${password}${link}`,
      };
    }),
  );
}

function addChange(subaccount: Command, cli: Cli): void {
  const examples = [
    `subaccount change ${anId} --limit 10000`,
    `subaccount change ${anId} --email quota@corner.example=quota`,
  ];
  const command = verb(subaccount, "change", "members of a subaccount; what is not given stays", examples)
    .argument("<id>", "sub_...", input.idOf("sub"))
    .option("--name <name>", "seen by the master only")
    .option("--limit <units>", "recipients in a period, or none", input.unitsOrNone);
  withDetails(command).action((id: SubaccountId, options: DetailOptions) =>
    runWith(cli, options, async ({ db, clock, publish }) => {
      const changed = await changeSubaccount(db, operator, id, detailsOf(options), {}, clock);
      await publish(id);
      return shownSubaccount(db, changed, clock);
    }),
  );
}

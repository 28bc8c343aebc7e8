/** `postmeter domain`: who may put which domain into the sender. */
import type { Command } from "commander";
import { actFor } from "../accounts/act-for.ts";
import { addDomain } from "../domains/add.ts";
import { findDomain, type SenderDomain } from "../domains/domain.ts";
import { type Grantees, grantDomain, withdrawDomain } from "../domains/grant.ts";
import { listDomains } from "../domains/list.ts";
import { createTxtLookup } from "../domains/lookup.ts";
import { removeDomain } from "../domains/remove.ts";
import { verifyDomain } from "../domains/verify.ts";
import { type DomainId, formatAccount, formatId, type SubaccountId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { facts, table } from "./layout.ts";
import { operator } from "./session.ts";
import { page, shape } from "./shape.ts";
import { type Cli, group, type Options, runWith, type Shown, verb } from "./verb.ts";

const anId = "dom_01kb2m5xj7e1fr0x4m4f6a0z3q";
const aSubaccount = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addDomainCommands(program: Command, cli: Cli): void {
  const domain = group(program, "domain", "who may put which domain into the sender");
  addList(domain, cli);
  addAdd(domain, cli);
  verb(domain, "show", "one domain with the record to publish", [`domain show ${anId}`])
    .argument("<id>", "dom_...", input.idOf("dom"))
    .action((id: DomainId, options: Options) =>
      runWith(cli, options, async ({ db }) => shownDomain(await findDomain(db, operator, id))),
    );
  verb(domain, "verify", "look for the record now", [`domain verify ${anId}`])
    .argument("<id>", "dom_...", input.idOf("dom"))
    .action((id: DomainId, options: Options) =>
      runWith(cli, options, async ({ db, clock, config }) => {
        const domain = await verifyDomain(db, operator, id, createTxtLookup(config.dnsServers), clock);
        return { ...shownDomain(domain), exitCode: domain.state === "verified" ? 0 : 1 };
      }),
    );
  addGrants(domain, cli);
  verb(domain, "remove", "give the name up", [`domain remove ${anId}`])
    .argument("<id>", "dom_...", input.idOf("dom"))
    .action((id: DomainId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        const { name } = await findDomain(db, operator, id);
        await removeDomain(db, operator, id, clock);
        return { json: { id: formatId("dom", id), removed: true }, text: `${name} is removed.` };
      }),
    );
}

type ListOptions = Options & { for?: input.AccountRef; limit: number };

function addList(domain: Command, cli: Cli): void {
  verb(domain, "list", "sender domains, oldest first", ["domain list", `domain list --for ${aSubaccount}`])
    .option("--for <account>", "of a master (mas_...), or those a subaccount (sub_...) may use", input.account)
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action(({ for: ref, limit, ...options }: ListOptions) =>
      runWith(cli, options, async ({ db, clock }) => {
        const principal = ref?.kind === "master" ? await actFor(db, operator, input.showAccount(ref), clock) : operator;
        const filter = { limit, ...(ref?.kind === "subaccount" && { subaccount: ref.id }) };
        const { items, more } = page(await listDomains(db, principal, filter, clock), limit);
        const rows = items.map((one) => [
          formatId("dom", one.id),
          one.name,
          one.state,
          formatAccount(one),
          one.checkedAt,
        ]);
        return {
          json: { data: items.map((one) => shape(one, "dom")), has_more: more },
          text: table(["id", "name", "state", "of", "checked"], rows, "There is no domain."),
        };
      }),
    );
}

function addAdd(domain: Command, cli: Cli): void {
  verb(domain, "add", "claim a domain; it counts when the record is found", [
    `domain add customer.example ${aSubaccount}`,
    "domain add reseller.example mas_01kb2m5xj7e1fr0x4m4f6a0z3q",
  ])
    .argument("<name>", "e.g. customer.example")
    .argument("<account>", "sub_..., or mas_... for a domain that the master grants", input.account)
    .action((name: string, ref: input.AccountRef, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        const principal = ref.kind === "master" ? await actFor(db, operator, input.showAccount(ref), clock) : operator;
        const owner = ref.kind === "master" ? undefined : ref.id;
        return shownDomain(await addDomain(db, principal, owner, { name }, clock));
      }),
    );
}

const grants = {
  grant: { summary: "let subaccounts use a master's own domain", change: grantDomain },
  withdraw: { summary: "take that back", change: withdrawDomain },
} as const;

function addGrants(domain: Command, cli: Cli): void {
  for (const [name, { summary, change }] of Object.entries(grants)) {
    verb(domain, name, summary, [`domain ${name} ${anId} ${aSubaccount}`, `domain ${name} ${anId} --all`])
      .argument("<id>", "dom_...", input.idOf("dom"))
      .argument("[subaccounts...]", "sub_...", input.eachId("sub"))
      .option("--all", "every subaccount of the master, those to come too")
      .action(
        (id: DomainId, subaccountIds: SubaccountId[] = [], options: Options & { all?: true }, command: Command) => {
          if (subaccountIds.length > 0 === (options.all === true)) {
            command.error("error: name subaccounts, or give --all", { exitCode: 2 });
          }
          const grantees: Grantees = options.all ? { all: true } : { subaccountIds };
          return runWith(cli, options, async ({ db, clock }) => {
            await change(db, operator, id, grantees, clock);
            return shownDomain(await findDomain(db, operator, id));
          });
        },
      );
  }
}

function shownDomain(domain: SenderDomain): Shown {
  const head = facts({
    id: formatId("dom", domain.id),
    name: domain.name,
    state: domain.state,
    of: formatAccount(domain),
    "granted to all": domain.subaccountId === null ? domain.grantedToAll : undefined,
    checked: domain.checkedAt ?? undefined,
    "failing since": domain.failingSince ?? undefined,
  });
  const rows = domain.records.map(({ type, name, value, found }) => [type, name, value, found ? "found" : "not found"]);
  const records = table(["type", "name", "value", "last look-up"], rows);
  return { json: shape(domain, "dom"), text: `${head}\n\nPublish this record:\n${records}` };
}

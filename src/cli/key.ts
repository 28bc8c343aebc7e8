/** `postmeter key`: API keys, also a new first one for a master that has lost its own. */
import type { Command } from "commander";
import { actFor } from "../accounts/act-for.ts";
import { createKey, listKeys, revokeKey } from "../accounts/keys.ts";
import { type Scope, scopes } from "../accounts/principal.ts";
import { formatId, type KeyId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { table } from "./layout.ts";
import { operator } from "./session.ts";
import { keyShape, page } from "./shape.ts";
import { type Cli, group, type Options, runWith, verb } from "./verb.ts";

const aMaster = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addKeyCommands(program: Command, cli: Cli): void {
  const key = group(program, "key", "API keys of masters and subaccounts");
  verb(key, "list", "those that are not revoked", [`key list ${aMaster}`])
    .argument("<account>", "mas_... or sub_...", input.account)
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action((ref: input.AccountRef, { limit, ...options }: Options & { limit: number }) =>
      runWith(cli, options, async ({ db, clock }) => {
        const principal = await actFor(db, operator, input.showAccount(ref), clock);
        const { items, more } = page(await listKeys(db, principal, { limit }), limit);
        const rows = items.map((one) => [
          formatId("key", one.id),
          one.name,
          one.subaccountId === null ? "master" : formatId("sub", one.subaccountId),
          one.scopes.join(","),
          `...${one.hint}`,
          one.lastUsedAt,
        ]);
        return {
          json: { data: items.map(keyShape), has_more: more },
          text: table(["id", "name", "for", "scopes", "ends in", "last used"], rows, "There is no key."),
        };
      }),
    );
  addCreate(key, cli);
  verb(key, "revoke", "it opens nothing any more, at once", ["key revoke key_01kb2m5xj7e1fr0x4m4f6a0z3q"])
    .argument("<id>", "key_...", input.idOf("key"))
    .action((id: KeyId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        const revoked = await revokeKey(db, operator, id, clock);
        return { json: keyShape(revoked), text: `${formatId("key", id)} (${revoked.name}) is revoked.` };
      }),
    );
}

type CreateOptions = Options & { name: string; scopes: Scope[] };

function addCreate(key: Command, cli: Cli): void {
  verb(key, "create", "a new API key, shown once", [
    `key create ${aMaster} --name "billing export" --scopes billing,read`,
    "key create sub_01kb2m5xj7e1fr0x4m4f6a0z3q --name website --scopes send",
  ])
    .argument("<account>", "mas_... or sub_...: whose it is", input.account)
    .requiredOption("--name <name>", "what it is for")
    .option("--scopes <scopes>", scopes.join(", "), input.listOf(scopes), ["full"])
    .action((ref: input.AccountRef, { name, scopes: chosen, ...options }: CreateOptions) =>
      runWith(cli, options, async ({ db, clock, keyring }) => {
        const owner: { masterId?: MasterId; subaccount?: SubaccountId } =
          ref.kind === "master" ? { masterId: ref.id } : { subaccount: ref.id };
        const created = await createKey(db, operator, { name, scopes: chosen, ...owner }, keyring(), clock);
        const id = formatId("key", created.apiKey.id);
        return {
          json: { ...keyShape(created.apiKey), key: created.key },
          text: `${id} (${created.apiKey.name})\n\nAPI key (shown once)  ${created.key}`,
        };
      }),
    );
}

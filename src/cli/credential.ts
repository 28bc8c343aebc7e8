/** `postmeter credential`: SMTP user names and passwords. */
import type { Command } from "commander";
import { changeCredential } from "../accounts/change-credential.ts";
import {
  type Credential,
  createCredential,
  listCredentials,
  type NewCredential,
  revokeCredential,
  rotateCredential,
} from "../accounts/credentials.ts";
import { type CredentialId, formatId, type SubaccountId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { facts, table } from "./layout.ts";
import { operator } from "./session.ts";
import { credentialShape, page } from "./shape.ts";
import { shownRate } from "./subaccount-view.ts";
import { type Cli, group, type Options, runWith, type Shown, verb } from "./verb.ts";

const aSubaccount = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";
const anId = "cred_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addCredentialCommands(program: Command, cli: Cli): void {
  const credential = group(program, "credential", "SMTP user names and passwords of a subaccount");
  verb(credential, "list", "those that are not revoked, oldest first", [`credential list ${aSubaccount}`])
    .argument("<subaccount>", "sub_...", input.idOf("sub"))
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action((id: SubaccountId, { limit, ...options }: Options & { limit: number }) =>
      runWith(cli, options, async ({ db, clock }) => {
        const { items, more } = page(await listCredentials(db, operator, id, { limit }, clock), limit);
        const rows = items.map((one) => [
          formatId("cred", one.id),
          one.username,
          one.name,
          one.createdAt,
          one.lastUsedAt,
        ]);
        return {
          json: { data: items.map(credentialShape), has_more: more },
          text: table(["id", "user name", "name", "created", "last used"], rows, "There is no credential."),
        };
      }),
    );
  verb(credential, "create", "a generated user name and password, shown once", [
    `credential create ${aSubaccount} --name website`,
  ])
    .argument("<subaccount>", "sub_...", input.idOf("sub"))
    .option("--name <name>", "what it is for")
    .action((id: SubaccountId, options: Options & { name?: string }) =>
      runWith(cli, options, async ({ db, clock, keyring }) =>
        shownOnce(await createCredential(db, operator, id, { name: options.name }, keyring(), clock)),
      ),
    );
  verb(credential, "change", "its name, and whether it may use its subaccount's reserve (limits: quota rate)", [
    `credential change ${anId} --transactional`,
  ])
    .argument("<id>", "cred_...", input.idOf("cred"))
    .option("--name <name>", "what it is for, or none", input.textOrNone)
    .option("--transactional", "password resets and the like: it may use the reserve")
    .option("--no-transactional", "it stops before the reserve")
    .action((id: CredentialId, { json, ...given }: ChangeOptions) =>
      runWith(cli, { ...(json && { json }) }, async ({ db, clock }) =>
        shown(await changeCredential(db, operator, id, input.withNulls(given), clock)),
      ),
    );
  addRotate(credential, cli);
  verb(credential, "revoke", "it opens nothing any more, at once", [`credential revoke ${anId}`])
    .argument("<id>", "cred_...", input.idOf("cred"))
    .action((id: CredentialId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => shown(await revokeCredential(db, operator, id, clock))),
    );
}

type ChangeOptions = Options & { name?: string; transactional?: boolean };

function addRotate(credential: Command, cli: Cli): void {
  verb(credential, "rotate", "a new password for the same user name, shown once", [
    `credential rotate ${anId}`,
    `credential rotate ${anId} --overlap 3600`,
  ])
    .argument("<id>", "cred_...", input.idOf("cred"))
    .option("--overlap <seconds>", "how long the old password still works", input.whole, 0)
    .action((id: CredentialId, { overlap, ...options }: Options & { overlap: number }) =>
      runWith(cli, options, async ({ db, clock, keyring }) =>
        shownOnce(await rotateCredential(db, operator, id, overlap, keyring(), clock)),
      ),
    );
}

function shown(credential: Credential): Shown {
  const text = facts({
    id: formatId("cred", credential.id),
    "user name": credential.username,
    name: credential.name ?? undefined,
    subaccount: formatId("sub", credential.subaccountId),
    "old password until": credential.previousUntil ?? undefined,
    revoked: credential.revokedAt ?? undefined,
    transactional: credential.transactional ? "yes" : undefined,
    "short limits": shownRate(credential.rateLimits),
  });
  return { json: credentialShape(credential), text };
}

function shownOnce({ credential, password }: NewCredential): Shown {
  const { json, text } = shown(credential);
  return { json: { ...(json as object), password }, text: `${text}\n\nPassword (shown once)  ${password}` };
}

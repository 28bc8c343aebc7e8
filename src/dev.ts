/**
 * `npm start`: the whole program on one machine, with a demo master and subaccount to try it at once.
 *
 * The demo's secrets are made at the first start, kept in the data folder (readable by its owner only) and shown at every
 * start. When the database no longer knows them, new ones are made.
 */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createMaster } from "./accounts/create-master.ts";
import { createSubaccount } from "./accounts/create-subaccount.ts";
import type { Principal } from "./accounts/principal.ts";
import type { House } from "./house.ts";
import { baseUrl } from "./platform/config.ts";
import { formatId } from "./platform/ids.ts";
import type { Ports } from "./serve.ts";

export type Demo = Readonly<{
  api_key: string;
  master_id: string;
  subaccount_id: string;
  username: string;
  password: string;
}>;

const LIMIT = 100;

export async function openDemo(house: House): Promise<Demo> {
  const path = join(house.config.dataDir, "demo.json");
  const kept = read(path);
  if (kept !== undefined && (await house.authenticator.key(kept.api_key, "127.0.0.1")) !== undefined) return kept;
  const demo = await makeDemo(house);
  writeFileSync(path, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return demo;
}

function read(path: string): Demo | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Demo;
  } catch {
    return undefined; // none yet, or broken by hand: a new one is made
  }
}

async function makeDemo({ database, keyring, clock }: House): Promise<Demo> {
  const operator: Principal = { kind: "operator", via: "cli" };
  return database.db.transaction().execute(async (trx) => {
    const { master, apiKey } = await createMaster(
      trx,
      operator,
      { name: "Demo reseller", allowance: null, senderPolicy: "any", notificationEmails: ["reseller@demo.example"] },
      keyring,
      clock,
    );
    const { subaccount, credential } = await createSubaccount(
      trx,
      operator,
      { name: "Demo customer", monthlyLimit: LIMIT, masterId: master.id },
      keyring,
      clock,
    );
    return {
      api_key: apiKey.key,
      master_id: formatId("mas", master.id),
      subaccount_id: formatId("sub", subaccount.id),
      username: credential?.credential.username ?? "",
      password: credential?.password ?? "",
    };
  });
}

/** What a newcomer needs to send a first mail, as text for a terminal. */
export function banner(demo: Demo, ports: Ports, { config }: House): string {
  const http = baseUrl(config.httpHost, ports.http ?? config.httpPort);
  const host = config.submissionHost;
  return `
  Postmeter is running. Mail is captured here and never leaves this machine${config.upstreamUrl === "capture:" ? "" : " - except by your upstream"}.

    SMTP         ${host}:${ports.submission} (STARTTLS)${ports.submissions ? `, ${host}:${ports.submissions} (TLS)` : ""}
    user         ${demo.username}
    password     ${demo.password}
    limit        ${LIMIT} recipients a month

    API          ${http}/v1     docs ${http}/docs
    API key      ${demo.api_key}   (master)
    operator     ${config.operatorKey}
    mailbox      ${http}/mailbox#key=${demo.api_key}

  Send a mail, then see what was used:

    swaks --server ${host}:${ports.submission} -tls --auth PLAIN --auth-user ${demo.username} --auth-password ${demo.password} \\
      --from app@customer.example --to reader@example.net
    curl -H 'Authorization: Bearer ${demo.api_key}' ${http}/v1/subaccounts/${demo.subaccount_id}/usage

`;
}

/** `postmeter transfer`: accounts that leave their master. */
import type { Command } from "commander";
import { approveTransfer } from "../lifecycle/accept-transfer.ts";
import { endTransfer, requestRenewal } from "../lifecycle/offer-transfer.ts";
import { listTransfers } from "../lifecycle/transfer.ts";
import { formatId, type SubaccountId, type TransferId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { table } from "./layout.ts";
import { operator } from "./session.ts";
import { shape } from "./shape.ts";
import { type Cli, group, type Options, runWith, verb } from "./verb.ts";

const aTransfer = "tra_01kb2m5xj7e1fr0x4m4f6a0z3q";
const anId = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addTransferCommands(program: Command, cli: Cli): void {
  const transfer = group(program, "transfer", "accounts that go to another payer");
  verb(transfer, "list", "newest first; those that are accepted wait for you", ["transfer list"])
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action(({ limit, ...options }: Options & { limit: number }) =>
      runWith(cli, options, async ({ db, clock }) => {
        const found = (await listTransfers(db, operator, { limit }, clock)).slice(0, limit);
        const rows = found.map(({ id, kind, state, subaccountId, expiresAt }) => [
          formatId("tra", id),
          kind,
          state,
          formatId("sub", subaccountId),
          expiresAt.toISOString(),
        ]);
        const head = ["id", "kind", "state", "account", "until"];
        const json = { data: found.map((one) => shape(one, "tra")) };
        return { json, text: table(head, rows, "There is no transfer.") };
      }),
    );
  verb(transfer, "renewal", "a closed account's owner asks to go on as its own", [`transfer renewal ${anId}`])
    .argument("<id>", "sub_...", input.idOf("sub"))
    .action((id: SubaccountId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        const asked = await requestRenewal(db, operator, id, clock);
        return { json: shape(asked, "tra"), text: `${formatId("tra", asked.id)} waits for its approval.` };
      }),
    );
  addApprove(transfer, cli);
  verb(transfer, "decline", "refuse it", [`transfer decline ${aTransfer}`])
    .argument("<id>", "tra_...", input.idOf("tra"))
    .action((id: TransferId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        const ended = await endTransfer(db, operator, id, "decline", clock);
        return { json: shape(ended, "tra"), text: `It is ${ended.state}.` };
      }),
    );
}

type ApproveOptions = Options & { allowance: number | input.None; name?: string; email?: string };

function addApprove(transfer: Command, cli: Cli): void {
  verb(transfer, "approve", "make a master of it; its API key is shown once", [
    `transfer approve ${aTransfer} --allowance 50000`,
  ])
    .argument("<id>", "tra_...", input.idOf("tra"))
    .requiredOption("--allowance <units>", "recipients in a period, or none", input.unitsOrNone)
    .option("--name <name>", "its owner's where it is left out")
    .option("--email <address>", "hears its alerts; its owner's where it is left out")
    .action((id: TransferId, { json, ...given }: ApproveOptions) =>
      runWith(cli, { ...(json && { json }) }, async ({ db, clock, keyring, publish }) => {
        const { allowance, name, email } = input.withNulls(given);
        const approval = { allowance, name, ...(email === undefined ? {} : { notificationEmails: [email] }) };
        const { transfer: done, master, apiKey } = await approveTransfer(db, operator, id, approval, keyring(), clock);
        await publish(done.subaccountId);
        const shown = { ...(shape(done, "tra") as object), master: { id: formatId("mas", master.id) } };
        return {
          json: { ...shown, api_key: { id: formatId("key", apiKey.apiKey.id), key: apiKey.key } },
          text: `master          ${formatId("mas", master.id)}\nAPI key (once)  ${apiKey.key}`,
        };
      }),
    );
}

/** `postmeter queue`: what is accepted and not yet delivered. */
import type { Command } from "commander";
import { findSubaccount } from "../accounts/find.ts";
import { formatId, type MessageId, type SubaccountId } from "../platform/ids.ts";
import { cancelMessage, holdQueue, releaseQueue, retryMessage } from "../spool/change.ts";
import { listQueue, type MessageView, measureQueue, showMessage } from "../spool/inspect.ts";
import * as input from "./input.ts";
import { facts, table } from "./layout.ts";
import { operator } from "./session.ts";
import { page, shape } from "./shape.ts";
import { type Cli, group, type Options, runWith, type Shown, verb } from "./verb.ts";

const anId = "msg_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addQueueCommands(program: Command, cli: Cli): void {
  const queue = group(program, "queue", "mail that is accepted and not yet delivered");
  addList(queue, cli);
  verb(queue, "show", "one message with every attempt", [`queue show ${anId}`])
    .argument("<id>", "msg_...", input.idOf("msg"))
    .action((id: MessageId, options: Options) =>
      runWith(cli, options, async ({ db }) => shownMessage(await showMessage(db, operator, id))),
    );
  verb(queue, "retry", "try a waiting message now", [`queue retry ${anId}`])
    .argument("<id>", "msg_...", input.idOf("msg"))
    .action((id: MessageId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        await retryMessage(db, operator, id, clock);
        return shownMessage(await showMessage(db, operator, id));
      }),
    );
  verb(queue, "cancel", "deliver it to nobody any more; no report goes out, nothing is given back", [
    `queue cancel ${anId}`,
  ])
    .argument("<id>", "msg_...", input.idOf("msg"))
    .action((id: MessageId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        await cancelMessage(db, operator, id, clock);
        return shownMessage(await showMessage(db, operator, id));
      }),
    );
  addHold(queue, cli);
}

type ListOptions = Options & { subaccount?: SubaccountId; limit: number };

function addList(queue: Command, cli: Cli): void {
  verb(queue, "list", "waiting messages, oldest first", [
    "queue list",
    "queue list --subaccount sub_01kb2m5xj7e1fr0x4m4f6a0z3q --json",
  ])
    .option("--subaccount <id>", "of one subaccount", input.idOf("sub"))
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action(({ subaccount, limit, ...options }: ListOptions) =>
      runWith(cli, options, async ({ db }) => {
        const filter = { limit, ...(subaccount && { subaccountId: subaccount }) };
        const { items, more } = page(await listQueue(db, operator, filter), limit);
        const { depth, oldestSeconds } = await measureQueue(db);
        const rows = items.map((one) => [
          formatId("msg", one.id),
          formatId("sub", one.subaccountId),
          one.from === "" ? "<>" : one.from,
          one.recipients.filter(({ state }) => state === "queued" || state === "deferred" || state === "held").length,
          one.queue?.attempts ?? 0,
          one.queue?.held ? "held" : one.queue?.leased ? "now" : (one.queue?.dueAt ?? null),
        ]);
        const total = `${depth} waiting, the oldest for ${Math.round(oldestSeconds)} s`;
        const text = table(["id", "subaccount", "from", "open", "attempts", "next try"], rows, "Nothing is waiting.");
        return {
          json: { data: items.map(messageShape), has_more: more, depth, oldest_seconds: oldestSeconds },
          text: depth === 0 ? text : `${text}\n\n${total}`,
        };
      }),
    );
}

const holds = {
  hold: { summary: "go on accepting a subaccount's mail, deliver none of it", change: holdQueue, done: "is held" },
  release: { summary: "let a held queue go", change: releaseQueue, done: "is not held" },
} as const;

function addHold(queue: Command, cli: Cli): void {
  for (const [name, { summary, change, done }] of Object.entries(holds)) {
    verb(queue, name, summary, [`queue ${name} sub_01kb2m5xj7e1fr0x4m4f6a0z3q`])
      .argument("<subaccount>", "sub_...", input.idOf("sub"))
      .action((id: SubaccountId, options: Options) =>
        runWith(cli, options, async ({ db, clock }) => {
          const subaccount = await findSubaccount(db, operator, id, clock);
          await change(db, operator, id, clock);
          const json = { subaccount_id: formatId("sub", id), held: name === "hold" };
          return { json, text: `The queue of ${subaccount.name} ${done}.` };
        }),
      );
  }
}

/** Its header's Message-ID is no id of ours, so it has the name that the API gives it. */
function messageShape({ messageId, queue, ...message }: MessageView): object {
  const { leased: sending, ...waiting } = queue ?? { leased: false };
  return {
    ...(shape({ ...message, headerMessageId: messageId }, "msg") as object),
    queue: queue && shape({ ...waiting, sending }),
  };
}

function shownMessage(message: MessageView): Shown {
  const head = facts({
    id: formatId("msg", message.id),
    subaccount: formatId("sub", message.subaccountId),
    state: message.state,
    from: message.from === "" ? "<>" : message.from,
    subject: message.subject ?? undefined,
    units: message.units,
    bytes: message.sizeBytes,
    accepted: message.acceptedAt,
    "next try": message.queue?.held ? "held" : (message.queue?.dueAt ?? undefined),
    "given up": message.queue?.expiresAt ?? undefined,
  });
  const rows = message.recipients.flatMap(({ address, state, attempts }) => [
    [address, state, "", "", ""],
    ...attempts.map(({ at, outcome, remote, reply }) => ["", outcome, new Date(at), remote, reply]),
  ]);
  return {
    json: messageShape(message),
    text: `${head}\n\n${table(["recipient", "state", "at", "server", "answer"], rows)}`,
  };
}

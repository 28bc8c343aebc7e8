/** A client that could not read its 250 sends again: the whole program, and two nodes. */
import { beforeAll, expect, test } from "vitest";
import { Client, plain } from "../submission/client.ts";
import { receivedBy } from "../support/arrivals.ts";
import { mutateProgram } from "../support/mutant.ts";
import { createTenant, eventually, type Relay, type Tenant } from "../support/relay.ts";
import { openScene, type Scene } from "./scene.ts";

const scene = await openScene();
const { relay } = scene;
let other: Relay;

beforeAll(async () => {
  other = await scene.startAgain();
});

let letters = 0;
const lines = (bytes: number) => `${"x".repeat(62)}\r\n`.repeat(Math.ceil(bytes / 64));
const makeText = (bytes = 0) =>
  `From: app@customer.example\r\nSubject: Hello\r\nMessage-ID: <retry${letters++}@load.example>\r\n\r\n${lines(bytes)}`;

async function open(node: Relay, tenant: Tenant, tls = false): Promise<Client> {
  const client = await Client.connect(node.ports.submission);
  await client.reply();
  if (tls) {
    await client.command("EHLO client.example");
    expect(await client.command("STARTTLS")).toMatch(/^220/);
    await client.starttls();
  }
  await client.command("EHLO client.example");
  expect(await client.command(`AUTH PLAIN ${plain(tenant.username, tenant.password)}`)).toMatch(/^235/);
  return client;
}

const READER = ["reader@example.net"];

/** Up to the final dot, which is not yet written; or what refused it before. */
async function begin(client: Client, recipients: readonly string[]): Promise<string> {
  for (const line of ["MAIL FROM:<app@customer.example>", ...recipients.map((to) => `RCPT TO:<${to}>`), "DATA"]) {
    const answer = await client.command(line);
    if (!/^[23]/.test(answer)) return answer;
  }
  return "";
}

/** A message that is answered, on a connection of its own, which is ended at once. */
async function deliver(node: Relay, tenant: Tenant, text: string, recipients = READER, tls = false): Promise<string> {
  const client = await open(node, tenant, tls);
  const refused = await begin(client, recipients);
  if (refused !== "") return refused;
  const answer = await client.command(`${text}.`);
  client.socket.end();
  return answer;
}

async function rowsOf({ database }: Scene, { username }: Tenant) {
  const { rows } = await database.pool.query<Record<"messages" | "charged" | "inDoubt", number>>(
    `select (select count(*)::int from message m where m.subaccount_id = c.subaccount_id) as messages,
            (select count(*)::int from usage_entry u where u.subaccount_id = c.subaccount_id and kind = 'accept') as charged,
            (select count(*)::int from in_doubt d where d.subaccount_id = c.subaccount_id) as "inDoubt"
       from credential c where c.username = $1`,
    [username],
  );
  return rows[0]!;
}

/** Its client never reads the 250, and resets the connection when the message is stored. Resolves when that is known. */
async function lose(on: Scene, node: Relay, tenant: Tenant, text: string, tls = false): Promise<void> {
  const before = await rowsOf(on, tenant);
  const client = await open(node, tenant, tls);
  expect(await begin(client, READER)).toBe("");
  client.socket.pause();
  client.write(`${text}.\r\n`);
  await eventually(async () => (await rowsOf(on, tenant)).messages > before.messages, "the message is stored");
  client.reset();
  await eventually(async () => (await rowsOf(on, tenant)).inDoubt > before.inDoubt, "the message is in doubt");
}

const copies = (on: Scene, text: string) => {
  const marker = /<(.+)>/.exec(text)![1];
  return receivedBy(on.upstream).filter((arrival) => arrival.marker === marker).length;
};

/** How often a message that is lost and sent again comes out, and is charged. */
async function sentTwice(on: Scene, tls = false, bytes = 0) {
  const tenant = await createTenant(on.relay, { limit: 5 });
  const text = makeText(bytes);
  await lose(on, on.relay, tenant, text, tls);
  expect(await deliver(on.relay, tenant, text, READER, tls)).toMatch(/^250 2\.0\.0 Accepted as msg_/);
  const { charged } = await rowsOf(on, tenant);
  await on.check();
  return { charged, copies: copies(on, text) };
}

test.each([
  ["in clear", false, 0],
  ["under TLS", true, 0],
  ["larger than one part", true, 2_500_000],
])("a message that is sent again after a reset is charged once and delivered once: %s", async (_, tls, bytes) => {
  expect(await sentTwice(scene, tls, bytes)).toEqual({ charged: 1, copies: 1 });
});

test("its retry bears the first one's id, on another node, and at the limit that it has used up itself", async () => {
  const tenant = await createTenant(relay, { limit: 1 });
  const text = makeText();
  await lose(scene, relay, tenant, text);
  const first = await eventually(async () => {
    const answer = await deliver(other, tenant, text); // once the other node has heard of it
    return answer.startsWith("250") && answer;
  }, "the retry is known on the other node");
  const told = ({ event, message_id }: Record<string, unknown>) =>
    event === "message.in_doubt" && first.includes(String(message_id));
  await eventually(async () => relay.log.some(told), "the node that lost it names the same id");
  expect(await deliver(relay, tenant, text)).toMatch(/^550 5\.4\.5/); // the third is a message of its own
  expect(await rowsOf(scene, tenant)).toEqual({ messages: 1, charged: 1, inDoubt: 0 });
});

test("after its retry, the same message is one of its own; to other readers or of another account it always is", async () => {
  const tenant = await createTenant(relay, { limit: 50 });
  const stranger = await createTenant(relay, { limit: 50 });
  const text = makeText();
  await lose(scene, relay, tenant, text);
  await deliver(relay, tenant, text, [...READER, "other@example.net"]);
  await deliver(relay, stranger, text);
  expect(await rowsOf(scene, tenant)).toEqual({ messages: 2, charged: 2, inDoubt: 1 });
  expect(await rowsOf(scene, stranger)).toEqual({ messages: 1, charged: 1, inDoubt: 0 });
  await deliver(relay, tenant, text);
  expect(await rowsOf(scene, tenant)).toEqual({ messages: 2, charged: 2, inDoubt: 0 });
  await deliver(relay, tenant, text);
  expect(await rowsOf(scene, tenant)).toEqual({ messages: 3, charged: 3, inDoubt: 0 });
});

test("a message whose client closes behind the final dot, as a program that ends does, and sends again is one", async () => {
  const tenant = await createTenant(relay, { limit: 5 });
  const text = makeText();
  const client = await open(relay, tenant);
  expect(await begin(client, READER)).toBe("");
  client.socket.end(`${text}.\r\n`);
  const settled = async () => {
    const { messages, inDoubt } = await rowsOf(scene, tenant);
    return messages === 1 && inDoubt === 1;
  };
  // Where the 250 was quicker than the end, the message counts as heard.
  const raced = await Promise.race([
    client.reply().then(([line]) => line ?? ""),
    eventually(settled, "it is in doubt").then(() => ""),
  ]);
  const heard = raced.startsWith("250");
  if (!heard) await eventually(settled, "it is in doubt"); // the connection's end may be quicker than the row
  await deliver(relay, tenant, text);
  expect(await rowsOf(scene, tenant)).toMatchObject({ charged: heard ? 2 : 1 });
});

/** Two that are the same, of clients that leave right after their 250. */
async function sentAndEnded(on: Scene) {
  const tenant = await createTenant(on.relay, { limit: 5 });
  const text = makeText();
  for (let n = 0; n < 2; n++) expect(await deliver(on.relay, tenant, text)).toMatch(/^250/);
  const { charged } = await rowsOf(on, tenant);
  await on.check();
  return { charged, copies: copies(on, text) };
}

test("two that are the same, each ended right after its 250, are two messages", async () => {
  expect(await sentAndEnded(scene)).toEqual({ charged: 2, copies: 2 });
});

test("control: a program that recognises nothing charges and delivers the retry", async () => {
  const program = mutateProgram("src/spool/in-doubt.ts", {
    from: "return known.told(place) === undefined ? undefined : match(submission, addedBytes);",
    to: "return undefined;",
  });
  const broken = await openScene({ program, withRedis: false });
  expect(await sentTwice(broken)).toEqual({ charged: 2, copies: 2 });
  await broken.end();
});

/** What the API shows and does of mail: messages, the queue, events, the built-in mailbox, statements. */
import { createHash } from "node:crypto";
import { sql } from "kysely";
import { describe, expect, test } from "vitest";
import { PLATFORM, parseId } from "../../src/platform/ids.ts";
import { newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";
import { createWorld } from "./world.ts";

const door = await openDoor();
const { call } = door;
const world = await createWorld(door);
const { key } = world.master;
const { things } = world.customer;
const operator = { key: OPERATOR_KEY };

describe("messages", () => {
  test("show each recipient with what became of it", async () => {
    const answer = await call("GET", `/v1/messages/${things.msg}`, { key: world.customer.key });
    expect(answer.body).toMatchObject({
      id: things.msg,
      subaccount_id: things.sub,
      state: "queued",
      from: "app@CUSTOMER.example",
      recipients: [{ address: "to@CUSTOMER.example", state: "queued", attempts: [] }],
      units: 1,
      queue: { attempts: 0, sending: false, held: false },
    });
  });

  test("attempts are shown with the answer of the server", async () => {
    const attempt = {
      at: "2026-11-22T10:00:00.000Z",
      outcome: "deferred",
      route: "default",
      remote: "mx.example.net",
      code: 451,
      enhanced: "4.3.0",
      reply: "try later",
      indeterminate: true,
    };
    const id = parseId("msg", world.sibling.things.msg)!;
    await sql`update recipient set state = 'deferred', attempts = ${JSON.stringify([attempt])} where message_id = ${id}`.execute(
      door.database.db,
    );
    const { body } = await call("GET", `/v1/messages/${world.sibling.things.msg}`, { key });
    expect(body.recipients).toEqual([{ address: "to@SIBLING.example", state: "deferred", attempts: [attempt] }]);
  });

  test("are found by state, sender, recipient and subaccount", async () => {
    const found = async (query: string) =>
      (await call("GET", `/v1/messages?${query}`, { key })).body.data.map(({ id }: { id: string }) => id);
    expect(await found("recipient=to@CUSTOMER.example")).toEqual([things.msg]);
    expect(await found("from=app@CUSTOMER.example&state=queued")).toEqual([things.msg]);
    expect(await found(`subaccount_id=${things.sub}`)).toEqual([things.msg]);
    expect(await found("state=delivered")).toEqual([]);
    expect((await found("")).length).toBe(2);
  });
});

describe("the queue", () => {
  test("a held tenant's mail is shown as held; only the operator holds and lets go", async () => {
    const path = `/v1/subaccounts/${things.sub}`;
    expect((await call("POST", `${path}/hold`, { key })).status).toBe(403);
    expect((await call("POST", `${path}/hold`, operator)).status).toBe(204);
    expect((await call("POST", `${path}/hold`, operator)).status).toBe(204);
    const held = await call("GET", `/v1/messages/${things.msg}`, { key });
    expect([held.body.state, held.body.recipients[0].state, held.body.queue.held]).toEqual(["queued", "held", true]);
    expect((await call("POST", `${path}/release`, operator)).status).toBe(204);
    expect((await call("GET", `/v1/messages/${things.msg}`, { key })).body.recipients[0].state).toBe("queued");
  });

  test("its master sees it, tries again, and cancels once", async () => {
    const listed = await call("GET", `/v1/queue?subaccount_id=${things.sub}`, { key });
    expect(listed.body.data.map(({ id }: { id: string }) => id)).toEqual([things.msg]);
    expect((await call("GET", `/v1/queue/${things.msg}`, { key })).body.id).toBe(things.msg);
    expect((await call("POST", `/v1/queue/${things.msg}/retry`, { key })).status).toBe(200);
    expect((await call("POST", `/v1/queue/${things.msg}/cancel`, { key: world.customer.key })).status).toBe(403);
    const cancelled = await call("POST", `/v1/queue/${things.msg}/cancel`, { key });
    expect([cancelled.body.state, cancelled.body.queue]).toEqual(["cancelled", null]);
    expect((await call("POST", `/v1/queue/${things.msg}/cancel`, { key })).status).toBe(409);
    expect((await call("POST", `/v1/queue/${things.msg}/retry`, { key })).status).toBe(409);
  });
});

describe("events", () => {
  test("tell what happened, newest first, to those it belongs to", async () => {
    const all = await call("GET", "/v1/events", { key: world.customer.key });
    const types = all.body.data.map(({ type }: { type: string }) => type);
    expect(types).toEqual(expect.arrayContaining(["message.accepted", "message.deferred"]));
    const deferred = await call("GET", `/v1/events?type=message.deferred&message_id=${things.msg}`, { key });
    expect(deferred.body.data).toMatchObject([{ message_id: things.msg, data: { mark: "CUSTOMER" } }]);
    expect(deferred.body.data[0].master_id).toBeUndefined();
    const seen = await call("GET", "/v1/events?limit=100", operator);
    expect(seen.body.data.every(({ master_id }: { master_id: string }) => master_id.startsWith("mas_"))).toBe(true);
  });
});

describe("the built-in mailbox", () => {
  test("lists, shows the text, and gives the bytes as they are, to be saved and never to be run", async () => {
    const list = await call("GET", "/v1/captured?recipient=to@CUSTOMER.example", { key });
    expect(list.body.data.map(({ id }: { id: string }) => id)).toEqual([things.cap]);
    const one = await call("GET", `/v1/captured/${things.cap}`, { key });
    expect(one.body).toMatchObject({
      id: things.cap,
      text: expect.stringContaining("body of CUSTOMER"),
      attachments: [],
    });
    const raw = await call("GET", `/v1/captured/${things.cap}/raw`, { key });
    expect(raw.text).toBe("From: app@CUSTOMER.example\r\nSubject: CUSTOMER\r\n\r\nbody of CUSTOMER\r\n");
    expect(raw.headers.get("content-type")).toBe("message/rfc822");
    expect(raw.headers.get("content-disposition")).toBe(`attachment; filename="${things.cap}.eml"`);
    expect(raw.headers.get("content-security-policy")).toContain("sandbox");
  });

  test("shows letters of ours, whose links log people in, to whom has all rights, and not to whom may only read", async () => {
    const id = parseId("cap", world.sibling.things.cap)!;
    const subaccountId = parseId("sub", world.sibling.things.sub)!;
    const belongsTo = (owner: string) =>
      sql`update captured set subaccount_id = ${owner} where id = ${id}`.execute(door.database.db);
    const { body: made } = await call("POST", "/v1/keys", { key, body: { name: "reads", scopes: ["read"] } });
    const seenBy = async (ask: { key: string; account?: string }) => {
      const { body } = await call("GET", "/v1/captured?limit=100", ask);
      const path = `/v1/captured/${world.sibling.things.cap}`;
      const one = [path, `${path}/raw`].map(async (each) => (await call("GET", each, ask)).status);
      const listed = body.data.some((mail: { id: string }) => mail.id === world.sibling.things.cap);
      return [listed, ...(await Promise.all(one))];
    };
    const reader = { key: made.key };
    expect(await seenBy(reader)).toEqual([true, 200, 200]); // control: as mail of a subaccount
    await belongsTo(PLATFORM);
    expect(await seenBy(reader)).toEqual([false, 404, 404]);
    for (const whole of [{ key }, operator, { ...operator, account: world.master.things.mas }]) {
      expect(await seenBy(whole)).toEqual([true, 200, 200]);
    }
    for (const other of [world.sibling.key, world.foreign.key]) {
      expect(await seenBy({ key: other })).toEqual([false, 404, 404]);
    }
    await belongsTo(subaccountId);
  });

  test("reads encoded text, names attachments, and survives what is no mail", async () => {
    const put = async (bytes: Buffer) => {
      const id = parseId("cap", things.cap)!;
      await sql`update captured set bytes = ${bytes} where id = ${id}`.execute(door.database.db);
      return (await call("GET", `/v1/captured/${things.cap}`, { key })).body;
    };
    const parts = [
      'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n',
      `${Buffer.from("Grüße <script>alert(1)</script>").toString("base64")}\r\n`,
      '--b\r\nContent-Type: image/png; name="../../x.png"\r\nContent-Disposition: attachment; filename="../../x.png"\r\n\r\nPNG\r\n--b--\r\n',
    ];
    const mail = await put(Buffer.from(parts.join("")));
    expect(mail.text).toContain("Grüße <script>");
    expect(mail.attachments).toMatchObject([{ content_type: "image/png" }]);
    expect((await put(Buffer.from([0, 255, 254, 13, 10, 13, 10, 200]))).id).toBe(things.cap);
    expect((await put(Buffer.alloc(0))).attachments).toEqual([]);
    const html = await put(
      Buffer.from("Content-Type: text/html\r\n\r\n<p>Hello <b>you</b></p><img src=http://evil.example/x>"),
    );
    expect(html.text).toContain("Hello you");
  });
});

describe("statements", () => {
  test("closed ones are listed and found by period and by id", async () => {
    const list = await call("GET", "/v1/statements", { key });
    expect(list.body.data).toMatchObject([
      { id: world.master.things.stm, units: 3, messages: 2, billed: 3, overage_units: 0 },
    ]);
    const byPeriod = await call("GET", "/v1/statements/2026-10-01", { key });
    const byId = await call("GET", `/v1/statements/${world.master.things.stm}`, { key });
    expect(byPeriod.body).toEqual(byId.body);
    expect((await call("GET", "/v1/statements/2026-09-01", { key })).status).toBe(404);
    expect((await call("GET", "/v1/statements/2026-10-01", { key: world.customer.key })).status).toBe(403);
  });

  test("the running period is a preview, with a line for the own sending and one per customer", async () => {
    const preview = await call("GET", "/v1/statements/current", { key });
    expect(preview.body).toMatchObject({ id: null, closed_at: null, chain_hash: null });
    expect(preview.body.lines.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(["OURS Hosting", "CUSTOMER shop", "SIBLING shop"]),
    );
  });

  test("come as CSV where that is asked for, safe for a spreadsheet", async () => {
    await newSubaccount(door, { key, masterId: things.mas, ownSubaccountId: "" }, { name: '=1+1,"x"' });
    const csv = await call("GET", "/v1/statements/current", { key, headers: { Accept: "text/csv" } });
    expect(csv.headers.get("content-type")).toBe("text/csv; charset=utf-8");
    expect(csv.headers.get("content-disposition")).toMatch(/^attachment; filename="statement-\d{4}-\d\d-01\.csv"$/);
    expect(csv.text).toMatch(/^period_start,/);
    expect((await call("GET", "/v1/statements/current.csv", { key })).text).toBe(csv.text);
    expect(csv.text).toContain(`"'=1+1,""x"""`);
  });

  test("come as a page to be printed, whose only style is its own and whose texts are no markup", async () => {
    await newSubaccount(
      door,
      { key, masterId: things.mas, ownSubaccountId: "" },
      { name: "<script>alert(1)</script>" },
    );
    const page = await call("GET", "/v1/statements/current.html", { key });
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("content-disposition")).toBeNull();
    expect(page.text).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(page.text).not.toContain("<script");
    const style = /<style>([\s\S]*?)<\/style>/.exec(page.text)?.[1] ?? "";
    const hash = createHash("sha256").update(style).digest("base64");
    expect(page.headers.get("content-security-policy")).toContain(`style-src 'sha256-${hash}'`);
    expect(page.text).toContain("The period is not closed yet");
    const { body } = await call("GET", "/v1/statements/current", { key });
    expect(page.text.match(/<tr><th scope="row">/g)).toHaveLength(body.lines.length);
  });

  test("a page of a closed one has its number, its hashes and the figures of the others, in the master's language", async () => {
    const name = `/v1/statements/${world.master.things.stm}`;
    const { body } = await call("GET", name, { key });
    const english = await call("GET", name, { key, headers: { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" } });
    for (const told of [body.id, body.lines_hash, body.chain_hash]) expect(english.text).toContain(told);
    const cells = [body.messages, body.units, body.corrections, body.billed]
      .map((n) => `<td class="n">${n}</td>`)
      .join("");
    expect(english.text).toContain(`<th scope="row" colspan="4">Total</th>${cells}`);
    await call("PATCH", "/v1/account", { key, body: { language: "de" } });
    const german = await call("GET", `${name}.html`, { key });
    await call("PATCH", "/v1/account", { key, body: { language: null } });
    expect(german.text).toContain('<html lang="de">');
    expect(german.text).toContain(`>Summe</th>${cells}`);
  });

  test.each([
    ["text/csv;q=0.5, application/json", "application/json"],
    ["text/html, application/json;q=0.9", "text/html"],
    ["text/*", "text/csv"],
    ["*/*", "application/json"],
    ["application/json;q=0, */*", "text/csv"],
  ])("Accept: %s gives %s", async (accept, type) => {
    const answer = await call("GET", "/v1/statements/current", { key, headers: { Accept: accept } });
    expect(answer.headers.get("content-type")).toContain(type);
  });

  test("what can't be had is 406", async () => {
    const answer = await call("GET", "/v1/statements/current", { key, headers: { Accept: "image/png" } });
    expect([answer.status, answer.body.type]).toEqual([406, "/problems/not-acceptable"]);
  });
});

describe("usage", () => {
  test("day by day, of the master, and of each subaccount agree", async () => {
    const daily = await call("GET", `/v1/subaccounts/${things.sub}/usage/daily`, { key });
    expect(daily.body.days.at(-1).date).toBe(door.database.clock.now().toISOString().slice(0, 10));
    const own = await call("GET", "/v1/usage", { key });
    expect(own.body).toMatchObject({ used: 0, allowance: 1_000_000, cap: 1_000_000, remaining: 1_000_000 });
    const each = await call("GET", "/v1/usage/subaccounts?limit=100", { key });
    expect(each.body.data.find(({ id }: { id: string }) => id === things.sub)).toMatchObject({
      name: "CUSTOMER shop",
      used: 0,
      limit: 1000,
    });
    const start = own.body.period.start.slice(0, 10);
    expect((await call("GET", `/v1/usage?period=${start}`, { key })).body).toEqual(own.body);
    expect((await call("GET", "/v1/usage", operator)).status).toBe(403);
  });
});

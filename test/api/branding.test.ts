/** Brands through the door: whose they are, what is shown, logos for everybody, and links that no header bends. */
import { simpleParser } from "mailparser";
import { describe, expect, test } from "vitest";
import { sendLetter } from "../../src/letters/send.ts";
import { parseId } from "../../src/platform/ids.ts";
import { dataUrl, jpeg, png, prove } from "../support/brands.ts";
import { certificateFor, fingerprintOf } from "../support/certificates.ts";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor, type Tenant } from "./client.ts";

const door = await openDoor();
const { database } = door;
const acme = await newMaster(door);
const shop = await newSubaccount(door, acme);
const other = await newMaster(door, { name: "Other" });
const master = parseId("mas", acme.masterId)!;
const pathOfShop = `/v1/subaccounts/${shop.id}/branding`;

const get = async (key: string, account?: string) => {
  const answer = await door.call("GET", "/v1/branding", { key, ...(account && { account }) });
  expect(answer.status, answer.text).toBe(200);
  return answer;
};
const patch = (body: unknown, of: Tenant = acme, path = "/v1/branding") =>
  door.call("PATCH", path, { key: of.key, body });

describe("a brand", () => {
  test("is there from the start, and its own with what results of it", async () => {
    const { body, headers } = await get(acme.key);
    expect(body).toMatchObject({ account_id: acme.masterId, product_name: null, logo: null, updated_at: null });
    expect(body.effective.product_name).toEqual({ value: "Postmeter", from: "default" });
    expect(body.effective.sender_address).toEqual({ value: "postmeter@relay.example", from: "default" });
    expect(headers.get("etag")).toBe('"0"');
  });

  test("of a master is inherited by its subaccounts, which may read and not change it", async () => {
    const changed = await patch({ product_name: "Acme Mail", support_address: "help@acme.example", colour: "#0A7D4B" });
    expect(changed.body).toMatchObject({ product_name: "Acme Mail", colour: "#0a7d4b" });
    const seen = (await get(shop.key)).body;
    expect(seen).toMatchObject({ account_id: shop.id, product_name: null });
    expect(seen.effective.product_name).toEqual({ value: "Acme Mail", from: "master" });
    for (const [path, method] of [
      ["/v1/branding", "PATCH"],
      [pathOfShop, "PATCH"],
      ["/v1/branding/certificate", "DELETE"],
    ] as const) {
      const body = method === "PATCH" ? { product_name: "x" } : undefined;
      expect((await door.call(method, path, { key: shop.key, body })).status, path).toBe(403);
    }
    expect((await door.call("GET", pathOfShop, { key: shop.key })).body).toEqual(seen);
  });

  test("of a subaccount is changed by its master in either way, and by the operator", async () => {
    const body = { footer: "Shop Ltd.\nTown" };
    const narrowed = await door.call("PATCH", "/v1/branding", { key: acme.key, account: shop.id, body });
    expect(narrowed.body).toMatchObject({ account_id: shop.id, footer: "Shop Ltd.\nTown" });
    const byPath = await patch({ colour: "#ff0000" }, acme, pathOfShop);
    expect(byPath.body.effective.colour).toEqual({ value: "#ff0000", from: "subaccount" });
    const operator = await door.call("PATCH", pathOfShop, { key: OPERATOR_KEY, body: { colour: null } });
    expect(operator.body.effective.colour).toEqual({ value: "#0a7d4b", from: "master" });
    expect((await get(OPERATOR_KEY, acme.masterId)).body.product_name).toBe("Acme Mail");
    expect((await patch({ colour: "#ff0000" }, other, pathOfShop)).status).toBe(404);
    expect((await door.call("GET", pathOfShop, { key: other.key })).status).toBe(404);
  });

  test("of a stale version is not changed", async () => {
    const { headers } = await get(acme.key);
    const match = { "If-Match": headers.get("etag")! };
    const ask = (footer: string, with_ = match) =>
      door.call("PATCH", "/v1/branding", { key: acme.key, body: { footer }, headers: with_ });
    expect((await ask("first")).status).toBe(200);
    expect((await ask("second")).status).toBe(412);
    expect((await get(acme.key)).body.footer).toBe("first");
  });

  test("has names that are in use only while their domain is verified", async () => {
    const names = { sender_address: "service@acme.example", host: "mail.acme.example" };
    expect((await patch(names)).body).toMatchObject({ ...names, in_use: { sender_address: false, host: false } });
    expect((await get(shop.key)).body.effective.host).toEqual({ value: null, from: "default" });
    await prove(database, "acme.example", master);
    expect((await get(acme.key)).body.in_use).toEqual({ sender_address: true, host: true });
    expect((await get(shop.key)).body.effective).toMatchObject({
      host: { value: "mail.acme.example", from: "master" },
      sender_address: { value: "service@acme.example", from: "master" },
    });
  });

  test("can't have the host of another, and is not told whose it is", async () => {
    const { status, body } = await patch({ host: "mail.acme.example" }, other);
    expect([status, body.errors[0].pointer]).toEqual([409, "/host"]);
    expect(JSON.stringify(body)).not.toMatch(/mas_|sub_|Acme/);
  });

  test("of a suspended master is read, and not changed", async () => {
    const third = await newMaster(door);
    await door.call("POST", `/v1/masters/${third.masterId}/suspend`, { key: OPERATOR_KEY });
    expect((await patch({ footer: "x" }, third)).body.type).toBe("/problems/suspended");
    expect((await get(third.key)).status).toBe(200);
  });
});

describe("a logo", () => {
  const logo = dataUrl("image/png", png());
  const ask = (id: string, headers: Record<string, string> = {}) => door.app.app.request(`/logo/${id}`, { headers });

  test("is served to everybody as the picture that it is", async () => {
    const { body } = await patch({ logo });
    expect(body.logo).toEqual({ type: "image/png", size_bytes: png().length, path: `/logo/${acme.masterId}` });
    expect((await get(shop.key)).body.effective.logo).toEqual({ value: `/logo/${acme.masterId}`, from: "master" });
    const answer = await ask(acme.masterId);
    expect(Buffer.from(await answer.arrayBuffer()).equals(png())).toBe(true);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "content-type": "image/png",
      "x-content-type-options": "nosniff",
      "cache-control": "public, max-age=300",
      "cross-origin-resource-policy": "cross-origin",
      "content-security-policy": expect.stringContaining("sandbox"),
    });
    const again = await ask(acme.masterId, { "If-None-Match": answer.headers.get("etag")! });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    await patch({ logo: dataUrl("image/jpeg", jpeg()) });
    expect((await ask(acme.masterId, { "If-None-Match": answer.headers.get("etag")! })).status).toBe(200);
  });

  test("of who has none is 404, like that of nobody", async () => {
    const ids = [
      shop.id,
      other.masterId,
      shop.id.replace("sub_", "mas_"),
      "mas_01kb2m5xj7e1fr0x4m4f6a0z3q",
      "x",
      "%00",
      "..%2f",
    ];
    for (const id of ids) expect((await ask(id)).status, id).toBe(404);
  });

  test.each([
    ["another kind than it says", dataUrl("image/webp", png())],
    ["a script", "data:text/html;base64,PHNjcmlwdD4="],
    ["more than a hundred kilobytes", dataUrl("image/png", png(16, 16, 102_400))],
  ])("that is %s is 422", async (_, bad) => {
    const { status, body } = await patch({ logo: bad });
    expect([status, body.errors[0].pointer]).toEqual([422, "/logo"]);
  });

  test("that no body may carry is 413", async () => {
    expect((await patch({ logo: dataUrl("image/png", png(16, 16, 1_000_000)) })).status).toBe(413);
  });
});

describe("a certificate", () => {
  const put = (pair: { certificate: string; privateKey: string }, of = acme) =>
    door.call("PUT", "/v1/branding/certificate", {
      key: of.key,
      body: { certificate: pair.certificate, private_key: pair.privateKey },
    });

  test("is set, shown by its names and its end, never with its key, and removed", async () => {
    const made = await certificateFor(["mail.acme.example"]);
    const { status, body, text } = await put(made);
    expect([status, body.certificate.names, body.certificate.fingerprint]).toEqual([
      200,
      ["mail.acme.example"],
      fingerprintOf(made),
    ]);
    for (const shown of [
      text,
      (await get(acme.key)).text,
      (await door.call("GET", "/v1/audit", { key: acme.key })).text,
    ])
      expect(shown).not.toMatch(/PRIVATE KEY|-----BEGIN/);
    expect(JSON.stringify(door.lines)).not.toContain(made.privateKey.split("\n")[1]);
    const removed = await door.call("DELETE", "/v1/branding/certificate", { key: acme.key });
    expect([removed.status, removed.body.certificate]).toEqual([200, null]);
    expect((await door.call("DELETE", "/v1/branding/certificate", { key: acme.key })).status).toBe(404);
  });

  test("with another's key, or for another host, is 422 and names what is wrong", async () => {
    const made = await certificateFor(["mail.acme.example"]);
    const strange = await certificateFor(["mail.other.example"]);
    const wrong = await put({ ...made, privateKey: strange.privateKey });
    expect([wrong.status, wrong.body.errors[0].pointer]).toEqual([422, "/private_key"]);
    const elsewhere = await put(strange);
    expect([elsewhere.status, elsewhere.body.errors[0].pointer]).toEqual([422, "/certificate"]);
    expect(wrong.text + elsewhere.text).not.toContain(strange.privateKey.split("\n")[1]);
  });

  test("without a host is 409", async () => {
    expect((await put(await certificateFor(["mail.other.example"]), other)).status).toBe(409);
  });
});

describe("the host of a link in a mail", () => {
  const config = {
    publicUrl: "https://relay.example",
    systemFrom: "postmeter@relay.example",
    hostname: "relay.example",
    queueLifetimeMs: 1e6,
  };
  const forged = {
    Host: "evil.example",
    "X-Forwarded-Host": "evil.example",
    Forwarded: "host=evil.example;proto=https",
  };

  test("is the brand's while it is proven, else ours, whatever a request claims", async () => {
    for (const [of, base] of [
      [acme, "https://mail.acme.example"],
      [other, "https://relay.example"],
    ] as const) {
      const masterId = parseId("mas", of.masterId)!;
      await door.call("PATCH", "/v1/branding", { key: of.key, body: { footer: `of ${base}` }, headers: forged });
      const { text } = await door.call("GET", "/v1/branding", { key: of.key, headers: forged });
      expect(text).not.toContain("evil");
      const id = await database.db.transaction().execute((trx) =>
        sendLetter(
          trx,
          {
            of: { masterId, subaccountId: null },
            to: ["ann@acme.example"],
            reader: { language: "en", timeZone: "UTC" },
            write: (_, origin) => ({
              subject: "s",
              headline: "h",
              paragraphs: [],
              action: { label: "Go", href: `${origin}/go` },
              why: "w",
            }),
          },
          { clock: database.clock, config },
        ),
      );
      const { rows } = await database.pool.query<{ bytes: Buffer }>("select bytes from body where message_id = $1", [
        id,
      ]);
      const mail = await simpleParser(Buffer.concat(rows.map(({ bytes }) => bytes)));
      expect(mail.text).toContain(`Go:\n${base}/go`);
      expect(`${mail.text}${mail.html}`).toContain(`of ${base}`);
      expect(`${mail.text}${mail.html}`).not.toContain("evil");
    }
  });
});

/** The end of a certificate is told in time, once for each notice, to those who look after security. */
import { simpleParser } from "mailparser";
import { beforeEach, expect, test } from "vitest";
import { endingLetter, tellCertificateEnds } from "../../src/alerts/certificate-ends.ts";
import { tellEndings } from "../../src/branding/certificate-end.ts";
import { changeBrand } from "../../src/branding/change.ts";
import { setCertificate } from "../../src/branding/change-certificate.ts";
import type { DomainId } from "../../src/platform/ids.ts";
import { fail, prove } from "../support/brands.ts";
import { certificateFor } from "../support/certificates.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { type TestMaster, tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock, pool } = database;
const people = tenants(database);
const { keyring } = people;
const config = {
  publicUrl: "https://relay.example",
  systemFrom: "p@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 1e6,
};
const deps = { clock, config, log: silentLog };
const DAY_MS = 86_400_000;
let acme: TestMaster;
let domain: DomainId;

beforeEach(async () => {
  for (const table of ["brand", "sender_domain", "event", "message", "body"]) await pool.query(`delete from ${table}`);
  acme = await people.master({
    notificationEmails: ["ops@acme.example", { email: "bills@acme.example", topics: ["billing"] }],
    timeZone: "Europe/Berlin",
  });
  domain = await prove(database, "acme.example", acme.master.id);
  await changeBrand(db, acme.principal, undefined, { host: "mail.acme.example", productName: "Acme Mail" }, {}, clock);
});

const set = async (days: number) => {
  const made = await certificateFor(["mail.acme.example"], { until: new Date(Date.now() + days * DAY_MS) });
  await setCertificate(db, acme.principal, undefined, made, { keyring }, clock);
};
/** As if the time had come. */
const leave = (days: number) =>
  pool.query("update brand set certificate_ends_at = pm_now() + make_interval(hours => $1)", [Math.round(days * 24)]);
const letters = async () => {
  const { rows } = await pool.query(
    "select b.bytes from message m join body b on b.message_id = m.id where kind = 'system' order by m.id",
  );
  return Promise.all(rows.map(({ bytes }) => simpleParser(bytes)));
};
const events = async () =>
  (await pool.query("select data from event where type = 'certificate.ending' order by id")).rows.map(
    ({ data }) => data.days,
  );

test("21, 7 and 1 days before it ends, each once, however often the job runs", async () => {
  await set(90);
  expect(await tellCertificateEnds(db, deps)).toBe(0);
  for (const [days, told] of [
    [22, []],
    [20.5, [21]],
    [8, [21]],
    [6.9, [21, 7]],
    [0.9, [21, 7, 1]],
    [-1, [21, 7, 1]],
  ] as const) {
    await leave(days);
    await Promise.all([1, 2, 3].map(() => tellCertificateEnds(db, deps)));
    expect(await events(), `${days} days left`).toEqual(told);
    expect(await letters()).toHaveLength(told.length);
  }
});

test("to the security addresses, in the master's brand", async () => {
  await set(5);
  await tellCertificateEnds(db, deps);
  const [mail] = await letters();
  expect([mail?.to].flat().map((to) => to?.text)).toEqual(["ops@acme.example"]);
  expect(mail?.from?.text).toBe('"Acme Mail" <p@relay.example>');
  expect(mail?.text).toContain("mail.acme.example");
  expect(mail?.text).toContain("PUT /v1/branding/certificate");
  expect(mail?.text).toMatch(/CET|GMT\+1/);
});

test("anew for the one that takes its place", async () => {
  await set(5);
  await tellCertificateEnds(db, deps);
  await set(6);
  await tellCertificateEnds(db, deps);
  expect(await events()).toEqual([7, 7]);
  await set(90);
  expect(await tellCertificateEnds(db, deps)).toBe(0);
});

test("not while its host is not in use", async () => {
  await set(5);
  await fail(database, domain);
  expect(await tellCertificateEnds(db, deps)).toBe(0);
});

test("of a subaccount's brand names the subaccount", async () => {
  const { subaccount } = await people.subaccount(acme);
  const ending = {
    masterId: acme.master.id,
    subaccountId: subaccount.id,
    host: "x.acme.example",
    endsAt: new Date(),
    days: 7,
  };
  const letter = endingLetter(ending, { language: "de", timeZone: "UTC" }, "https://relay.example");
  expect(letter.paragraphs.join()).toMatch(/PUT \/v1\/subaccounts\/sub_\w+\/branding\/certificate/);
});

test("a letter that can't be written leaves the notice untold, and does not keep others from theirs", async () => {
  await set(5);
  const other = await people.master();
  await prove(database, "other.example", other.master.id);
  await changeBrand(db, other.principal, undefined, { host: "mail.other.example" }, {}, clock);
  const made = await certificateFor(["mail.other.example"], { until: new Date(Date.now() + 5 * DAY_MS) });
  await setCertificate(db, other.principal, undefined, made, { keyring }, clock);
  const broken = await tellEndings({ db, clock, log: silentLog }, async (_, { host }) => {
    if (host === "mail.acme.example") throw new Error("played");
  });
  expect(broken).toBe(1);
  expect(await events()).toHaveLength(1);
  expect(await tellCertificateEnds(db, deps)).toBe(1);
});

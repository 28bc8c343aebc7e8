/** Letters of ours as a person reads them, and people who can log in. */
import { simpleParser } from "mailparser";
import { expect } from "vitest";
import { sendReset } from "../../src/people/reset.ts";
import { type Door, newMaster, type Tenant } from "../api/client.ts";
import { type Browser, openBrowser } from "./browser.ts";

export const PASSWORD = "green apples on a wall";

export type Mail = Readonly<{ to: string; subject: string; text: string; html: string; path: string }>;

/** All that was put into the spool, oldest first; `path`: of the first link to us. */
export async function letters({ database }: Pick<Door, "database">): Promise<Mail[]> {
  const { rows } = await database.pool.query(
    `select b.bytes, (select string_agg(address, ' ') from recipient where message_id = m.id) as "to"
       from message m join body b on b.message_id = m.id where m.kind = 'system' order by m.id`,
  );
  return Promise.all(
    rows.map(async ({ bytes, to }) => {
      const mail = await simpleParser(bytes);
      const text = mail.text ?? "";
      const path = /https:\/\/relay\.example(\/[\w/-]+)/.exec(text)?.[1] ?? "";
      return { to, subject: mail.subject ?? "", text, html: mail.html || "", path };
    }),
  );
}

export async function lastLetter(door: Door, to: string): Promise<Mail> {
  const found = (await letters(door)).findLast((letter) => letter.to === to);
  expect(found, `a letter to ${to}`).toBeDefined();
  return found as Mail;
}

/** The jobs `password_reset` that wait. */
export async function runResets(door: Door): Promise<number> {
  const { database, deps } = door;
  const { rows } = await database.pool.query(
    `select j.id, j.payload from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
      where t.identifier = 'password_reset'`,
  );
  for (const { id, payload } of rows) {
    await sendReset(database.db, payload, { ...deps, config: { ...deps.config, publicUrl: deps.publicUrl() } });
    await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [id]);
  }
  return rows.length;
}

/** Somebody who was invited and has accepted. */
export async function newPerson(
  door: Door,
  by: Readonly<{ key: string; account?: string }>,
  member: Readonly<{ email: string; role: string }>,
): Promise<Readonly<{ id: string; browser: Browser }>> {
  const invited = await door.call("POST", "/v1/members", { ...by, body: member });
  expect(invited.status, invited.text).toBe(201);
  const { path } = await lastLetter(door, member.email);
  const browser = openBrowser(door);
  const accepted = await browser.submit(await browser.get(path), { name: "Ann", password: PASSWORD });
  expect([accepted.status, accepted.url], accepted.text).toEqual([200, "/login"]);
  return { id: invited.body.id, browser };
}

export async function logIn(browser: Browser, email: string, password = PASSWORD) {
  return browser.submit(await browser.get("/login"), { email, password });
}

let made = 0;

/** A master with an owner who is logged in. */
export async function newOwner(
  door: Door,
): Promise<Tenant & Readonly<{ email: string; memberId: string; browser: Browser }>> {
  made += 1;
  const master = await newMaster(door);
  const email = `owner${made}@acme.example`;
  const { id, browser } = await newPerson(door, { key: master.key }, { email, role: "owner" });
  expect((await logIn(browser, email)).url).toBe("/account");
  return { ...master, email, memberId: id, browser };
}

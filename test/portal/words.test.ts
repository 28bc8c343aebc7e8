/** Pages before log-in speak the language that the browser asks for, and only that one. */
import { readdirSync, readFileSync } from "node:fs";
import { TOTP } from "otpauth";
import { describe, expect, test } from "vitest";
import { de } from "../../src/portal/words-de.ts";
import { en } from "../../src/portal/words-en.ts";
import { openBrowser, openPortal } from "./browser.ts";
import { newOwner, PASSWORD } from "./people.ts";

const door = await openPortal();
const german = { "Accept-Language": "de" };

type Shown = Readonly<{ status: number; headers: Headers; html: string }>;

async function look(path: string, language?: string): Promise<Shown> {
  const headers = { Accept: "text/html", ...(language === undefined ? {} : { "Accept-Language": language }) };
  const response = await door.app.app.request(path, { headers });
  return { status: response.status, headers: response.headers, html: await response.text() };
}

const entries = (table: typeof en) =>
  Object.entries(table).flatMap(([group, words]) =>
    Object.entries(words).map(([name, text]) => ({ key: `${group}.${name}`, text: text as string })),
  );
const escaped = (text: string) => text.replaceAll("'", "&#39;");
/** Words that are the same in both languages say nothing. */
const onlyEnglish = entries(en).filter(({ text }) => !entries(de).some((other) => other.text === text));
/** From a tag or a quote on, so that a word in a path is none of the page's. */
const englishOn = (page: string) => {
  const starts = (text: string) => [`>${text}`, `"${text}"`].some((start) => page.includes(start));
  return onlyEnglish.filter(({ text }) => starts(escaped(text))).map(({ key }) => key);
};

function expectGerman({ html, headers }: Pick<Shown, "html" | "headers">): void {
  expect(html).toContain('<html lang="de">');
  expect(headers.get("content-language")).toBe("de");
  expect(headers.get("vary")).toMatch(/accept-language/i);
  expect(englishOn(html)).toEqual([]);
}

describe("in German", () => {
  test("the log-in page and the one of a path where there is nothing hold no English word of the table", async () => {
    for (const [path, title] of [
      ["/login", de.frame.logIn],
      ["/nothing", de.unknown.title],
    ] as const) {
      const shown = await look(path, "de");
      expectGerman(shown);
      expect(shown.html).toContain(`<h1>${title}</h1>`);
      expect(englishOn((await look(path, "en")).html).length).toBeGreaterThan(1); // control
    }
  });

  test("a refused log-in says why, and what was typed stays escaped", async () => {
    const email = `"><script>alert(1)</script>`;
    const shown = await openBrowser(door).post("/login", { email, password: "no" }, german);
    expectGerman(shown);
    expect(shown.status).toBe(401);
    expect(shown.html).toContain(de.faults.denied);
    expect(shown.html).toContain(`<title>${de.frame.error} ${de.frame.logIn} - `);
    expect(shown.html).not.toContain("<script>");
    expect(shown.html).toContain("&lt;script&gt;");
  });

  test("too many failures are told", async () => {
    const browser = openBrowser(door, "198.51.100.9");
    let shown = await browser.post("/login", { email: "a@locked.example", password: "no" }, german);
    for (let tries = 0; tries < 50 && shown.status === 401; tries += 1)
      shown = await browser.post("/login", { email: "a@locked.example", password: "no" }, german);
    expect(shown.status).toBe(429);
    expectGerman(shown);
    expect(shown.html).toContain(de.faults.locked);
  });

  test("the second factor is asked for, and a wrong code is told", async () => {
    const { browser, email } = await newOwner(door);
    const started = await browser.submit(await browser.get("/account/second-factor"), {});
    const secret = /<code>([^<]+)<\/code>/.exec(started.html)?.[1]?.replaceAll(" ", "") ?? "";
    const code = new TOTP({ secret }).generate({ timestamp: door.database.clock.now().getTime() });
    await browser.submit(started, { code }, "/account/second-factor/confirm");
    const fresh = openBrowser(door);
    const asked = await fresh.post("/login", { email, password: PASSWORD }, german);
    expectGerman(asked);
    expect(asked.html).toContain(`<h1>${de.logIn.codeTitle}</h1>`);
    const proof = /name="proof" value="([^"]*)"/.exec(asked.html)?.[1] ?? "";
    const wrong = await fresh.post("/login", { email, proof, totp: "wrong" }, german);
    expectGerman(wrong);
    expect(wrong.html).toContain(de.faults.codeUsed);
  });
});

test.each(["de", "DE", "de-AT", "fr, de;q=0.5, en;q=0.4", "en;q=0.1,de;q=0.2", "de;q=1.000", "en;q=0, de"])(
  "%j asks for German",
  async (language) => expectGerman(await look("/login", language)),
);

test.each([
  undefined,
  "",
  "*",
  "en, de;q=0.9",
  "fr",
  "de;q=0",
  "de;q=2",
  "de;q=1.5",
  "de;q=-1",
  "de;q=NaN",
  "de;q=Infinity",
  "deutsch",
  "__proto__",
  "constructor",
  '"><script>',
  "../de",
  ";;;,,,;q=;q",
  `${"x,".repeat(100_000)}de`,
])("anything else falls back to English: %.40s", async (language) => {
  const { status, html, headers } = await look("/login", language);
  expect([status, headers.get("content-language")]).toEqual([200, "en"]);
  expect(html).toContain('<html lang="en">');
  expect(html).toContain(`<h1>${en.frame.logIn}</h1>`);
  expect(html).not.toContain("<script>");
});

test("a page that is written in English alone says so, whatever is asked for", async () => {
  const { html, headers } = await look("/reset", "de");
  expect([headers.get("content-language"), headers.get("vary") ?? ""]).toEqual(["en", ""]);
  expect(html).toContain('<html lang="en">');
});

test("each word of the table is used", () => {
  const folder = `${import.meta.dirname}/../../src/portal/`;
  const sources = readdirSync(folder).filter((name) => name.endsWith(".ts") && !name.startsWith("words-"));
  const code = sources.map((name) => readFileSync(folder + name, "utf8")).join("\n");
  const unused = (table: readonly { key: string; text: string }[]) =>
    table.filter(
      ({ key, text }) => !code.includes(key) && !(key.startsWith("faults.") && code.includes(JSON.stringify(text))),
    );
  expect(unused(entries(en))).toEqual([]);
  expect(unused([{ key: "frame.nothing", text: "" }])).toHaveLength(1); // control
});

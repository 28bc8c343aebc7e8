import { describe, expect, test } from "vitest";
import { createPasswords, password } from "../../src/people/passwords.ts";
import { eventually } from "../support/eventually.ts";

describe("a password", () => {
  test.each([
    ["short", "at least 12"],
    ["aaaaaaaaaaaaaaaa", "five different"],
    ["a".repeat(300), "at most 200"],
    [12, "not a password"],
    ["\ud800 and eleven more", "not a password"],
  ])("%j is refused in words", (value, words) => expect(password(value)).toContain(words));

  test("of some words in a row is taken, in any script", () => {
    for (const good of ["green apples on a wall", "Äpfel und Birnen!", "密码由许多不同的字组成才安全"])
      expect(password(good)).toBeUndefined();
  });
});

describe("a hash", () => {
  const passwords = createPasswords();

  test("is argon2id in PHC form, salted, and opens for its password alone", async () => {
    const [one, two] = [await passwords.hash("green apples on a wall"), await passwords.hash("green apples on a wall")];
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    expect(one).not.toBe(two);
    expect(await passwords.matches("green apples on a wall", one)).toBe(true);
    expect(await passwords.matches("green apples on a walL", one)).toBe(false);
  });

  test("is the same for a text however its accents are composed", async () => {
    const hash = await passwords.hash("caf\u00e9 au lait, please");
    expect(await passwords.matches("cafe\u0301 au lait, please", hash)).toBe(true);
  });

  test("of nobody is computed like another, and opens nothing", async () => {
    expect(await passwords.matches("whatever it may be", null)).toBe(false);
  });

  test("is computed off the main thread: the loop turns meanwhile", async () => {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 1);
    await Promise.all(Array.from({ length: 5 }, () => passwords.hash("green apples on a wall")));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
  });

  test("is followed by a rest as long as it took, and the next waits for its end", async () => {
    const rests: { ms: number; end: () => void }[] = [];
    const calm = createPasswords((ms) => new Promise<void>((end) => rests.push({ ms, end })));
    const order: string[] = [];
    const first = calm.matches("x", null).then(() => order.push("first"));
    const second = calm.matches("x", null).then(() => order.push("second"));
    await first; // whoever has his answer does not wait for the rest
    await eventually(() => expect(rests).toHaveLength(1));
    expect(rests[0]?.ms).toBeGreaterThan(0);
    await createPasswords().matches("x", null); // as much work as the second would be
    order.push("another's");
    rests[0]?.end();
    await second;
    expect(order).toEqual(["first", "another's", "second"]);
  });

  test("is one of twenty at most that wait: the next is told to come again, and nobody else is hurt", async () => {
    const busy = createPasswords();
    const all = await Promise.allSettled(Array.from({ length: 25 }, () => busy.matches("x", null)));
    const refused = all.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(5);
    expect(refused[0]).toMatchObject({ reason: { kind: "unavailable" } });
    expect(await busy.matches("x", null)).toBe(false);
  });
});

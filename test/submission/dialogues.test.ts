/** Every file of test/dialogues is a test: a whole session in plain text. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { play, readDialogue } from "./dialogue.ts";

const folder = join(import.meta.dirname, "..", "dialogues");
const files = readdirSync(folder).filter((file) => file.endsWith(".txt"));

describe("dialogues", () => {
  test("there are some", () => {
    expect(files.length).toBeGreaterThan(20);
  });

  test("fail where the server says something else, or nothing", async () => {
    const wrong = ["S: 250", "S+ AUTH CRAM-MD5", "S- STARTTLS", "THEN: accepted 1", "GIVEN: nothing known", "X: y"];
    for (const line of wrong.slice(0, 3)) {
      const lines = line === "S: 250" ? ["C: FOO", line] : ["C: EHLO x", "S: 250", line];
      await expect(play({ name: line, lines }), line).rejects.toThrow();
    }
    for (const line of wrong.slice(3)) await expect(play({ name: line, lines: [line] }), line).rejects.toThrow();
  });

  for (const file of files) {
    const dialogue = readDialogue(join(folder, file));
    test(`${file}: ${dialogue.name}`, () => play(dialogue));
  }
});

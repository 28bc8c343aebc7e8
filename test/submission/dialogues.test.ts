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

  for (const file of files) {
    const dialogue = readDialogue(join(folder, file));
    test(`${file}: ${dialogue.name}`, () => play(dialogue));
  }
});

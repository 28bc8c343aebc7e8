/** Postgres killed, crowded and full under load (P2, P3), each once. The long run: postgres.faults.ts. */
import { expect, test } from "vitest";
import { mutateProgram } from "../support/mutant.ts";
import { fullDisks, type OutageName, outages, playOutages } from "./postgres-outage.ts";

const namesOf = (some: object) => Object.keys(some) as OutageName[];

test("Postgres killed, stopped, and with no connection left has lost nothing that was acknowledged", async () => {
  expect(await playOutages(namesOf(outages))).toMatchObject({ faults: [] });
});

test("full disks, of its tables and of its log, refuse mail, and lose nothing that was acknowledged", async ({
  skip,
}) => {
  const played = await playOutages(namesOf(fullDisks));
  if (typeof played === "string") skip(played);
  expect(played).toMatchObject({ faults: [] });
});

test("control: a relay that hears no error acknowledges what a full disk has refused, and the books show it", async ({
  skip,
}) => {
  const program = mutateProgram("src/spool/accept.ts", {
    from: 'for (const { answer } of batch) answer({ kind: "failed" });',
    to: 'for (const { answer, submission } of batch) answer({ kind: "accepted", id: submission.id });',
  });
  const played = await playOutages(["the disk of its tables is full"], { program });
  if (typeof played === "string") skip(played);
  expect(played).toMatchObject({
    faults: expect.arrayContaining([expect.stringMatching(/^msg_\w+ was acknowledged, but is not charged$/)]),
  });
});

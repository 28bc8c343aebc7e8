/** No loss (P2) through a failover of Postgres to a synchronous replica. The long run: postgres.faults.ts. */
import { expect, test } from "vitest";
import { mutateProgram } from "../support/mutant.ts";
import { crashThenFailOver } from "./postgres-failover.ts";

const LOST = /^msg_\w+ was acknowledged, but is not charged$/;

test("a primary that crashes, comes back and dies has told the relay nothing that its replica does not know", async () => {
  const { faults, figures } = await crashThenFailOver();
  expect(faults).toEqual([]);
  expect(figures).toMatchObject({ messages: 1, refused: 1 });
});

test("control: a fence that believes what it reads at once acknowledges what the replica never got", async () => {
  const program = mutateProgram("src/spool/fence.ts", { from: "    await client.query(REPLICATED);\n", to: "" });
  expect((await crashThenFailOver(program)).faults).toContainEqual(expect.stringMatching(LOST));
});

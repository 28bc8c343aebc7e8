/** No loss (P2) through a failover of Postgres to a synchronous replica. The long run: postgres.faults.ts. */
import { expect, test } from "vitest";
import { crashThenFailOver } from "./postgres-failover.ts";

test("a primary that crashes, comes back and dies has told the relay nothing that its replica does not know", async () => {
  const { faults, figures } = await crashThenFailOver();
  expect(faults).toEqual([]);
  expect(figures).toMatchObject({ messages: 1, refused: 1 });
});

/** Postgres killed, crowded and full under load (P2, P3), each once. The long run: postgres.faults.ts. */
import { expect, test } from "vitest";
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

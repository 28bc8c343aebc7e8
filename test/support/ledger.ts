/** Accepted mail for tests of what comes after it: through the real accept call, at the database's own clock. */
import { periodAt } from "../../src/metering/period.ts";
import { createClock } from "../../src/platform/clock.ts";
import { type Database, openDatabase } from "../../src/platform/database.ts";
import { type MasterId, type MessageId, newId, type SubaccountId } from "../../src/platform/ids.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import type { Acceptance } from "../../src/spool/message.ts";
import type { TestDatabase } from "./database.ts";
import { submissionOf, testAcceptor, utcMonths } from "./submission.ts";

export type Account = Readonly<{ masterId: MasterId; subaccountId: SubaccountId }>;

/** A send of `units` recipients now, by the database's clock. The master's calendar: months of UTC unless told. */
export function acceptUnits(
  database: TestDatabase,
  account: Account,
  units: number,
  calendar = utcMonths,
): Promise<Acceptance> {
  const { clock } = database;
  return testAcceptor(database).accept(
    submissionOf(account, {
      id: newId<MessageId>(clock),
      calendar,
      period: periodAt(calendar, clock.now()),
      recipients: Array.from({ length: units }, (_, i) => `reader${i}@example.net`),
    }),
  );
}

/** The same database as seen later: its own connections, whose clock runs `ms` ahead. */
export async function later(database: Database, ms: number): Promise<TestDatabase> {
  const clockOffsetMs = database.clockOffsetMs + ms;
  const opened = openDatabase({ url: database.url, clockOffsetMs, max: 4, applicationName: "postmeter test, later" });
  await ensurePartitions(opened.db);
  return { ...opened, clock: createClock(clockOffsetMs) };
}

/** The program's clock: the only source of time. `POSTMETER_CLOCK_OFFSET` shifts it, and the database's `pm_now()` with it. */
export type Clock = Readonly<{ now(): Date; offsetMs: number }>;

export function createClock(offsetMs = 0): Clock {
  return { offsetMs, now: () => new Date(Date.now() + offsetMs) };
}

import { vi } from "vitest";

/** Waits until it holds: as long as a busy machine may need, so that time decides nothing. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 20_000, interval: 20 });
}

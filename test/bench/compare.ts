/** Whether what was acknowledged is what arrived: each message once, none lost, none from nowhere. */

export type Comparison = Readonly<{
  lost: number; // acknowledged, and never came
  doubled: number; // came more than once, copies beyond the first
  unacknowledged: number; // came without a 250
}>;

/** `accepted`: sequence numbers; `copies[sequence]`: how often the sink saw it. */
export function compare(accepted: readonly Uint32Array[], copies: Uint8Array): Comparison {
  const rest = Uint8Array.from(copies);
  let lost = 0;
  let doubled = 0;
  for (const sequence of accepted.flatMap((share) => [...share])) {
    const came = rest[sequence] ?? 0;
    if (came === 0) lost++;
    else rest[sequence] = 0;
    doubled += Math.max(came - 1, 0);
  }
  let unacknowledged = 0;
  for (const came of rest) if (came > 0) unacknowledged++;
  return { lost, doubled, unacknowledged };
}

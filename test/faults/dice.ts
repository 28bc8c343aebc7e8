/** Chance that can be played again: mulberry32. */
export type Dice = Readonly<{
  /** A whole number from 0 to n - 1. */
  below(n: number): number;
  oneOf<T>(items: readonly T[]): T;
}>;

export function createDice(seed: number): Dice {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number) => Math.floor(next() * n);
  return { below, oneOf: (items) => items[below(items.length)]! };
}

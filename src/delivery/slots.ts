/** A bound on connections that pools share. Pools that had to wait are served in turn. */
export type Slots = Readonly<{
  /** False: none is free; `freed` is called once when one may be. */
  acquire(freed: () => void): boolean;
  release(): void;
}>;

export function createSlots(total: number): Slots {
  const waiting = new Set<() => void>();
  let taken = 0;
  return {
    acquire(freed) {
      if (taken < total) {
        taken += 1;
        waiting.delete(freed);
        return true;
      }
      waiting.add(freed);
      return false;
    },
    release() {
      taken -= 1;
      for (const freed of waiting) {
        if (taken >= total) return;
        waiting.delete(freed);
        freed();
      }
    },
  };
}

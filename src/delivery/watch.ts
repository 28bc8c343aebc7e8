/** One timer for the deadlines of all connections: thousands of them cost nothing per command. */

export type Watched = {
  /** By performance.now(); Infinity: none. */
  deadlineAt: number;
  expired(): void;
  /** The watch ends, and nobody would see to it any more. */
  destroy(): void;
};

export type Watch = Readonly<{ add(watched: Watched): void; remove(watched: Watched): void }> & Disposable;

/** A deadline is noticed at most `tickMs` late. */
export function startWatch(tickMs = 1000): Watch {
  const all = new Set<Watched>();
  const timer = setInterval(() => {
    const now = performance.now();
    for (const watched of all) if (watched.deadlineAt <= now) watched.expired();
  }, tickMs);
  timer.unref();
  return {
    add: (watched) => all.add(watched),
    remove: (watched) => all.delete(watched),
    [Symbol.dispose]() {
      clearInterval(timer);
      for (const watched of [...all]) watched.destroy();
    },
  };
}

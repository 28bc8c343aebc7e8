/**
 * Leaves something alone that fails, and finds out by itself when it works again.
 *
 * Invariant: while it is open nothing but one probe at a time is sent.
 */
export interface Breaker extends Disposable {
  readonly open: boolean;
  /** Opens it. */
  failed(error: unknown): void;
}

export type BreakerDeps = Readonly<{
  /** Fails as long as it does not work. */
  probe: () => Promise<void>;
  onOpen: (error: unknown) => void;
  onClose: (openMs: number) => void;
  probeEveryMs?: number;
}>;

export function createBreaker({ probe, onOpen, onClose, probeEveryMs = 500 }: BreakerDeps): Breaker {
  let openedAtMs: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let disposed = false;

  function probeLater(): void {
    if (!disposed) timer = setTimeout(() => void tryAgain(), probeEveryMs).unref();
  }

  async function tryAgain(): Promise<void> {
    try {
      await probe();
    } catch {
      return probeLater();
    }
    if (disposed || openedAtMs === undefined) return;
    const openMs = performance.now() - openedAtMs;
    openedAtMs = undefined;
    onClose(openMs);
  }

  return {
    get open() {
      return openedAtMs !== undefined;
    },
    failed(error) {
      if (openedAtMs !== undefined) return;
      openedAtMs = performance.now();
      onOpen(error);
      probeLater();
    },
    [Symbol.dispose]() {
      disposed = true;
      clearTimeout(timer);
    },
  };
}

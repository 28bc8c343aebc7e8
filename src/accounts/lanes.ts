/**
 * Work for many that is done for each of them only so much at a time, so that a crowd from one place waits behind itself.
 *
 * Invariant: at most `width` of one key run at once, in the order of asking; other keys are not concerned.
 */
export type Lanes = Readonly<{ run<T>(key: string, work: () => Promise<T>): Promise<T> }>;

export function createLanes(width: number): Lanes {
  const lanes = new Map<string, { running: number; waiting: (() => void)[] }>();
  const enter = async (key: string): Promise<void> => {
    const lane = lanes.get(key) ?? { running: 0, waiting: [] };
    lanes.set(key, lane);
    if (lane.running < width) lane.running += 1;
    else await new Promise<void>((resolve) => lane.waiting.push(resolve)); // its place is handed over
  };
  const leave = (key: string): void => {
    const lane = lanes.get(key);
    const next = lane?.waiting.shift();
    if (next !== undefined) next();
    else if (lane !== undefined) {
      lane.running -= 1;
      if (lane.running === 0) lanes.delete(key);
    }
  };
  return {
    async run(key, work) {
      await enter(key);
      try {
        return await work();
      } finally {
        leave(key);
      }
    },
  };
}

/**
 * Signals: SIGTERM and SIGINT drain, a second one of them ends at once, SIGHUP reads the certificate again. A drain that
 * takes longer than 28 s is cut: what was accepted is in the spool.
 */
const DRAIN_MS = 28_000;

export function untilToldToStop(reload: () => void): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  process.on("SIGHUP", reload);
  let told = false;
  const stop = (signal: NodeJS.Signals) => {
    if (told) process.exit(1);
    told = true;
    cutAfterDrain();
    resolve(signal);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  return promise;
}

export function cutAfterDrain(): void {
  setTimeout(() => process.exit(0), DRAIN_MS).unref();
}

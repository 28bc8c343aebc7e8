/** What several processes count, as one: counters and histograms are added up, also those of processes that have ended. */
import { Registry } from "@prometheus-io/client";

/** A registry as plain values, fit to be sent to another process. */
export type Snapshot = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;

export function takeSnapshot(registry: Registry): Promise<Snapshot> {
  return registry.getMetricsAsJSON();
}

/** The text of /metrics. */
export function sumUp(snapshots: readonly Snapshot[]): Promise<string> {
  return Registry.aggregate([...snapshots]).metrics();
}

/** What remains of processes that have ended: a sum must never fall. Their gauges are gone with them. */
export async function keepCounts(snapshots: readonly Snapshot[]): Promise<Snapshot> {
  const all = await Registry.aggregate([...snapshots]).getMetricsAsJSON();
  return all.filter(({ type }) => String(type) !== "gauge");
}

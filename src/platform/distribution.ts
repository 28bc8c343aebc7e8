/**
 * A histogram of the registry that is cheap to add to: the library keeps its buckets under names made of numbers, and looks
 * one up for each value. Without labels.
 */
import type { MetricObjectWithValues, MetricValueWithName, Registry } from "@prometheus-io/client";

type Shown = MetricObjectWithValues<MetricValueWithName<"le">>;

export class Distribution {
  readonly name: string;
  readonly help: string;
  readonly type = "histogram" as unknown as Shown["type"];
  readonly aggregator = "sum";
  readonly labelNames: readonly string[] = [];
  /** Rising; a value counts in the first bound that it does not exceed. */
  readonly #bounds: readonly number[];
  /** By bound, and last the values above all of them. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(name: string, help: string, bounds: readonly number[], registry: Registry) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
    registry.registerMetric(this as unknown as Parameters<Registry["registerMetric"]>[0]);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] as number)) at += 1;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += value;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#sum = 0;
  }

  /** As the registry asks for it: counts up to each bound. */
  async get(): Promise<Shown> {
    const { name, help, type, aggregator } = this;
    let count = 0;
    const values: MetricValueWithName<string>[] = [...this.#bounds, "+Inf"].map((le, i) => {
      count += this.#counts[i] as number;
      return { value: count, labels: { le }, metricName: `${name}_bucket` };
    });
    values.push({ value: this.#sum, labels: {}, metricName: `${name}_sum` });
    values.push({ value: count, labels: {}, metricName: `${name}_count` });
    return { name, help, type, aggregator, values } as Shown;
  }
}

/**
 * How many have their answer after how long: a cumulative curve, with both axes stretched so that the slowest of a hundred
 * and of a thousand can be read: time by its logarithm, the share by that of those who still wait.
 */
import { type Latency, levels } from "./statistics.ts";
import { at, escapeText, plotWidth, svg } from "./svg.ts";
import { ms } from "./table.ts";

/** `colour`, `dash`: classes of the page's. */
export type LatencyLine = Readonly<{ name: string; colour: string; dash: string; latency: Latency }>;

const height = 230;
const left = 62;
const right = plotWidth - 20;
const bottom = height - 24;
const top = 10;
const shown = 99.9; // of a few thousand messages, what is above is chance

export function latencyPlot(title: string, lines: readonly LatencyLine[]): string {
  const times = lines.flatMap(({ latency }) => latency.curve.filter((value, n) => levels[n]! <= shown && value > 0));
  if (times.length === 0) return "";
  const low = Math.log10(Math.min(...times));
  const span = Math.log10(Math.max(...times)) - low || 1;
  const across = (value: number): number =>
    left + ((Math.log10(Math.max(value, 10 ** low)) - low) / span) * (right - left);
  const waiting = (level: number): number => -Math.log10(1 - level / 100);
  const up = (level: number): number => bottom - (waiting(level) / waiting(shown)) * (bottom - top);
  const shares = [0, 50, 90, 99, shown].map((level) => {
    const y = at(up(level));
    return `<path class="grid" d="M${left} ${y}H${right}"/><text x="${left - 8}" y="${y}" dy="4" text-anchor="end">${level} %</text>`;
  });
  const instants = roundTimes(10 ** low, 10 ** (low + span)).map((value) => {
    const x = at(across(value));
    return `<path class="grid" d="M${x} ${top}V${bottom}"/><text x="${x}" y="${height - 6}" text-anchor="middle">${value} ms</text>`;
  });
  const paths = lines.map(({ name, colour, dash, latency }) => {
    const points = levels.flatMap((level, n) => {
      const value = latency.curve[n]!;
      return level > shown || Number.isNaN(value) ? [] : [`${at(across(value))} ${at(up(level))}`];
    });
    if (points.length === 0) return "";
    return `<path class="curve ${colour} ${dash}" d="M${points.join("L")}"><title>${escapeText(name)}</title></path>`;
  });
  const text = lines.map(textOf).join("; ");
  return svg(height, { title, text }, [...shares, ...instants, ...paths].join(""));
}

function textOf({ name, latency: { p50, p99 } }: LatencyLine): string {
  return Number.isNaN(p50) ? `${name}: no answer` : `${name}: half within ${ms(p50)} ms, 99 % within ${ms(p99)} ms`;
}

/** 1, 2 and 5 of each decade between the two. */
function roundTimes(low: number, high: number): number[] {
  const decades = Array.from(
    { length: Math.ceil(Math.log10(high / low)) + 1 },
    (_, n) => 10 ** (Math.floor(Math.log10(low)) + n),
  );
  return decades
    .flatMap((decade) => [1, 2, 5].map((digit) => Number((digit * decade).toPrecision(1))))
    .filter((value) => value >= low && value <= high);
}

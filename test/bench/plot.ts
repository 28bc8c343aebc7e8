/** The bench's plots as plain SVG, coloured by the page's style sheet. */
import { levels } from "./statistics.ts";

export type Bar = Readonly<{
  label: string;
  group: string;
  value: number;
  lowest?: number;
  highest?: number;
  text: string;
}>;
export type Curve = Readonly<{ group: string; values: readonly number[] }>; // ms, by `levels`

const width = 720;
const labelWidth = 120;
const rowHeight = 24;

/** Horizontal bars from zero, with the spread of the rounds as a thin line. */
export function bars(rows: readonly Bar[], largest: number): string {
  const scale = (value: number): number => (value / (largest || 1)) * (width - labelWidth - 110);
  const drawn = rows.map((row, n) => {
    const y = n * rowHeight;
    const middle = y + rowHeight / 2;
    const end = labelWidth + scale(row.value);
    const spread =
      row.lowest === undefined || row.highest === undefined || row.lowest === row.highest
        ? ""
        : `<path class="spread" d="M${at(labelWidth + scale(row.lowest))} ${middle}H${at(labelWidth + scale(row.highest))}"/>`;
    const textAt = Math.max(end, labelWidth + scale(row.highest ?? 0)) + 6;
    return (
      `<text x="${labelWidth - 8}" y="${middle + 4}" text-anchor="end">${escapeText(row.label)}</text>` +
      `<rect class="${row.group}" x="${labelWidth}" y="${y + 4}" width="${at(end - labelWidth)}" height="${rowHeight - 8}" rx="2"/>` +
      `${spread}<text x="${at(textAt)}" y="${middle + 4}">${escapeText(row.text)}</text>`
    );
  });
  return svg(rows.length * rowHeight, drawn.join(""));
}

/** Latency by percentile, logarithmic: how long the slowest of a hundred, of a thousand wait. */
export function curves(lines: readonly Curve[]): string {
  const height = 190;
  const bottom = height - 22;
  const positive = lines.flatMap(({ values }) => values).filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive, 1)));
  const high = Math.ceil(Math.log10(Math.max(...positive, 10)));
  const x = (n: number): number => 60 + (n / (levels.length - 1)) * (width - 80);
  const y = (value: number): number =>
    bottom - ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * (bottom - 8);
  const decades = Array.from({ length: high - low + 1 }, (_, n) => 10 ** (low + n));
  const grid = decades.map(
    (value) =>
      `<path class="grid" d="M60 ${at(y(value))}H${width - 20}"/><text x="52" y="${at(y(value) + 4)}" text-anchor="end">${value} ms</text>`,
  );
  const ticks = levels.map((level, n) => {
    const name = level === 0 ? "min" : level === 100 ? "max" : `p${level}`;
    return `<text x="${at(x(n))}" y="${height - 4}" text-anchor="middle">${name}</text>`;
  });
  const paths = lines.map(({ group, values }) => {
    const points = values.map((value, n) => `${at(x(n))} ${at(y(value))}`);
    return `<path class="curve ${group}" d="M${points.join("L")}"/>`;
  });
  return svg(height, [...grid, ...ticks, ...paths].join(""));
}

export function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);
}

function svg(height: number, inside: string): string {
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">${inside}</svg>`;
}

function at(value: number): string {
  return value.toFixed(1);
}

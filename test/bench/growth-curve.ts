/** Growth curves as plain SVG: named lines over a logarithmic x, with values from zero. */
import { type Growth, plain } from "./growth-figures.ts";
import { escapeText, svg, plotWidth as width } from "./svg.ts";

const height = 220;
const left = 70;
const bottom = height - 26;

export function growthCurve({ title, unit, x, lines }: Growth): string {
  const points = lines.flatMap((line) => line.points);
  if (points.length === 0) return "";
  const xs = [...new Set(points.map(([at]) => at))].sort((a, b) => a - b);
  const top = Math.max(...points.map(([, value]) => value), Number.MIN_VALUE) * 1.1;
  const low = Math.log10(Math.max(xs[0]!, 1));
  const span = Math.log10(Math.max(xs.at(-1)!, 1)) - low || 1;
  const across = (at: number): number => left + ((Math.log10(Math.max(at, 1)) - low) / span) * (width - left - 40);
  const up = (value: number): number => bottom - (value / top) * (bottom - 12);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const y = up(part * top).toFixed(1);
    return `<path class="grid" d="M${left} ${y}H${width - 40}"/><text x="${left - 8}" y="${y}" dy="4" text-anchor="end">${plain(part * top)}</text>`;
  });
  const ticks = xs.map(
    (at) =>
      `<text x="${across(at).toFixed(1)}" y="${height - 6}" text-anchor="middle">${at.toLocaleString("en-US")}</text>`,
  );
  const paths = lines.map(({ points: own }, n) => {
    const dots = own.map(([at, value]) => `<circle cx="${across(at).toFixed(1)}" cy="${up(value).toFixed(1)}" r="3"/>`);
    const path = own.map(([at, value]) => `${across(at).toFixed(1)} ${up(value).toFixed(1)}`).join("L");
    return `<g class="c${n % 6}"><path class="curve" d="M${path}"/>${dots.join("")}</g>`;
  });
  const keys = lines.map(({ name }, n) => `<span class="key c${n % 6}"></span>${escapeText(name)}`).join("");
  const text = lines.map(
    ({ name, points: own }) =>
      `${name}: ${own.map(([at, value]) => `${plain(value)} at ${at.toLocaleString("en-US")}`).join(", ")}`,
  );
  return `<p>${keys} (${escapeText(unit)}, by ${escapeText(x)})</p>${svg(height, { title, text: text.join("; ") }, [...grid, ...ticks, ...paths].join(""))}`;
}

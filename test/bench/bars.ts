/** Horizontal bars from zero. */
import { at, escapeText, plotWidth, svg } from "./svg.ts";

export type Bar = Readonly<{
  label: string;
  colour: string; // a class of the page's
  value: number;
  lowest?: number;
  highest?: number;
  text: string;
}>;

const labelWidth = 170;
const rowHeight = 24;

/** With the spread of the rounds as a thin line. @param largest what fills the width */
export function bars(title: string, rows: readonly Bar[], largest: number): string {
  const across = (value: number): number => labelWidth + (value / (largest || 1)) * (plotWidth - labelWidth - 130);
  const drawn = rows.map((row, n) => {
    const y = n * rowHeight;
    const middle = y + rowHeight / 2;
    const { value, lowest = value, highest = value } = row;
    const spread =
      lowest === highest ? "" : `<path class="spread" d="M${at(across(lowest))} ${middle}H${at(across(highest))}"/>`;
    return (
      `<text x="${labelWidth - 8}" y="${middle + 4}" text-anchor="end">${escapeText(row.label)}</text>` +
      `<rect class="${row.colour}" x="${labelWidth}" y="${y + 4}" width="${at(across(value) - labelWidth)}" height="${rowHeight - 8}" rx="2"/>` +
      `${spread}<text x="${at(across(Math.max(value, highest)) + 6)}" y="${middle + 4}">${escapeText(row.text)}</text>`
    );
  });
  const text = rows.map((row) => `${row.label}: ${row.text}`).join("; ");
  return svg(rows.length * rowHeight, { title, text }, drawn.join(""));
}

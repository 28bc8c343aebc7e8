/** What the bench's plots share: plain SVG, coloured by the page's style sheet, with a name and a text for who can't see it. */

export const plotWidth = 720;

/** @param title names the plot; unique on its page. @param text what it shows, in a sentence. */
export function svg(
  height: number,
  { title, text }: Readonly<{ title: string; text: string }>,
  inside: string,
): string {
  const id = title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return (
    `<svg viewBox="0 0 ${plotWidth} ${height}" width="${plotWidth}" height="${height}" role="img" aria-labelledby="${id}-title ${id}-text">` +
    `<title id="${id}-title">${escapeText(title)}</title><desc id="${id}-text">${escapeText(text)}</desc>${inside}</svg>`
  );
}

/** A coordinate. */
export function at(value: number): string {
  return value.toFixed(1);
}

export function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);
}

/** Instants in the form that a protocol wants. */

/** RFC 5322 3.3, in UTC: `Sun, 22 Nov 2026 05:27:00 +0000`. */
export function messageDate(at: Date): string {
  return at.toUTCString().replace("GMT", "+0000");
}

/** ISO 8601 in UTC to the second, for replies: `2026-12-01T00:00:00Z`. */
export function isoSecond(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}

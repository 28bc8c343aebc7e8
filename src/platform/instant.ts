/** Instants as text, for what is written of each message: made once a second but for their last digits. */

let second = Number.NaN;
let text = "";

/** ISO 8601 in UTC, as Date.toISOString() has it. Within a second only its last digits change. */
export function isoInstant(ms: number): string {
  const part = ms % 1000;
  if (ms - part !== second) {
    text = new Date(ms - part).toISOString().slice(0, -4);
    second = ms - part;
  }
  return `${text}${part < 10 ? "00" : part < 100 ? "0" : ""}${part}Z`;
}

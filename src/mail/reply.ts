/** An SMTP answer is a value (RFC 5321 4.2, RFC 3463). */

/** `detail` is the enhanced code without its class digit: `4.5` in `550 5.4.5`. `text` is one line. */
export type Reply = Readonly<{ code: number; detail: `${number}.${number}`; text: string }>;

/** Renders the text after the code. The class digit comes from the code, so the two can't disagree. */
export function replyText({ code, detail, text }: Reply): string {
  return `${Math.floor(code / 100)}.${detail} ${text}`;
}

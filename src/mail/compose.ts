/** Mail of our own for people: alerts, invitations. Text and HTML say the same. */
import MailComposer from "nodemailer/lib/mail-composer";
import { messageDate } from "./date.ts";

export type Letter = Readonly<{
  from: Readonly<{ name: string; address: string }>;
  to: readonly string[];
  subject: string;
  text: string;
  html: string;
  messageId: string; // without angle brackets
  at: Date;
  headers?: Readonly<Record<string, string>>;
}>;

/**
 * The message as it goes out: CRLF line ends, 7-bit, `Auto-Submitted: auto-generated` (RFC 3834) so that no robot
 * answers. Values are encoded; a line break in one adds no header. No file or address outside is ever read.
 */
export async function composeLetter(letter: Letter): Promise<Uint8Array> {
  const composer = new MailComposer({
    from: letter.from,
    to: [...letter.to],
    subject: letter.subject,
    text: letter.text,
    html: letter.html,
    messageId: `<${letter.messageId}>`,
    date: messageDate(letter.at),
    headers: { "Auto-Submitted": "auto-generated", ...letter.headers },
    newline: "\r\n",
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return composer.compile().build();
}

/** For text that goes into HTML, also between quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

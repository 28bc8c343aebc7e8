/** What commands and replies are when they are as nearly all are: looked at once, and not as if anything could stand in them. */
import { isOrdinary } from "../mail/address.ts";

/** Replies of the library, by its own names for them, that need nothing of what it does for others. */
export const positiveLine: Readonly<Record<string, string>> = {
  MAIL_FROM_OK: "250 2.1.0 Accepted",
  RCPT_TO_OK: "250 2.1.5 Accepted",
};
export const handlerOf: Readonly<Record<string, "handler_MAIL" | "handler_RCPT" | "handler_DATA">> = {
  MAIL: "handler_MAIL",
  RCPT: "handler_RCPT",
  DATA: "handler_DATA",
};

const SPACE = 0x20;

/** In upper case. */
export function verbOf(command: Buffer): string {
  const end = command.indexOf(SPACE);
  return command.toString("latin1", 0, end < 0 ? command.length : end).toUpperCase();
}

/** The address of a command that has no parameters, when it has one reading only. `name`: "mail from" or "rcpt to". */
export function ordinaryPath(name: string, command: string): string | undefined {
  const start = name.length + 2;
  if (!command.endsWith(">") || command.slice(0, start) !== (name === "rcpt to" ? "RCPT TO:<" : "MAIL FROM:<"))
    return undefined;
  const address = command.slice(start, -1);
  return isOrdinary(address) ? address : undefined;
}

/** Where a conversation stands, and which replies may come there. Pure. */

export type Step = "idle" | "reset" | "mail" | "rcpt" | "data" | "body" | "end" | "void" | "quit";

/** No command of that kind is answered so: it is the reply to another one, or none at all. */
export function isOutOfStep(step: Step, raw: string): boolean {
  if (step === "body") return false; // nothing is due there, and whatever comes ends the conversation
  const first = raw.charAt(0);
  return first < "2" || first > "5" || first === (step === "data" ? "2" : "3");
}

/** What is not answered in time, in words. */
export const asked: Record<Exclude<Step, "idle" | "quit">, string> = {
  reset: "RSET",
  mail: "MAIL",
  rcpt: "RCPT",
  data: "DATA",
  body: "the message",
  end: "the end of the message",
  void: "the end of the message",
};

/**
 * What a conversation with a peer means for each recipient. Pure.
 *
 * Invariant: only a reply about the message itself is final (5xx at MAIL, RCPT, DATA or the end of data); whatever concerns
 * the session (connecting, TLS, AUTH, 421, a lost connection) is tried again. After the final dot without a clear answer
 * nobody knows whether the peer took the message: indeterminate. Where replies can't be told apart, none is believed.
 * Sources: RFC 5321 4.2 and 4.5.4, RFC 3463, RFC 7504, RFC 7505.
 */

export type Reply = Readonly<{ code: number; enhanced: string | null; text: string }>;

/**
 * Why a conversation ended without an answer to the point. `aborted`: by us, nothing is wrong with the peer. `out-of-step`:
 * nobody knows which of its replies belongs to which command.
 */
export type Failure = Readonly<{
  why:
    | "connect"
    | "dns"
    | "tls"
    | "auth"
    | "greeting"
    | "lost"
    | "timeout"
    | "protocol"
    | "out-of-step"
    | "closing"
    | "source"
    | "aborted";
  text: string;
  /** The peer's reply, raw, when there was one. */
  reply: string | null;
  /** Set when trying again can't help, with the enhanced code that says so. */
  permanent?: `5.${number}.${number}`;
}>;

/** One transaction: the raw replies in the order of the commands, as far as it got. */
export type Exchange = {
  mail: string | null;
  rcpt: (string | null)[]; // by recipient
  data: string | null;
  end: string | null; // to the final dot
  dotSent: boolean;
  failure: Failure | null;
};

export type Verdict = Readonly<{
  /** `another`: this transaction was full, the next one takes it. `untried`: it had no part in what happened. */
  kind: "delivered" | "deferred" | "bounced" | "another" | "untried";
  code: number | null;
  enhanced: string | null;
  text: string;
  indeterminate: boolean;
}>;

const REPLY_LENGTH = 500;
/** Our credentials or our session are wrong, not the message. */
const OURS = new Set([503, 530, 534, 535, 538]);
const enhancedOf: Record<Failure["why"], string> = {
  connect: "4.4.1",
  dns: "4.4.3",
  tls: "4.7.5",
  auth: "4.7.0",
  greeting: "4.3.2",
  lost: "4.4.2",
  timeout: "4.4.2",
  protocol: "4.5.0",
  "out-of-step": "4.5.0",
  closing: "4.3.2",
  source: "4.3.0",
  aborted: "4.3.0",
};

/** Shape: `code[ enhanced] text`, lines of a multiline reply joined by a blank. A reply without a code has code 0. */
export function parseReply(raw: string): Reply {
  const match = /^([2-5]\d\d)(?:[ -]|$)(?:([245]\.\d{1,3}\.\d{1,3})(?: |$))?/.exec(raw);
  if (match === null) return { code: 0, enhanced: null, text: plain(raw) };
  const code = Number(match[1]);
  const rest = raw.slice(match[0].length);
  const text = rest.includes("\n") ? rest.replace(/\r?\n\d{3}[ -](?:[245]\.\d{1,3}\.\d{1,3}(?: |$))?/g, " ") : rest;
  return { code, enhanced: match[2] ?? null, text: plain(text) };
}

/**
 * The reply as it came, when it says one thing: its lines begin with one code (RFC 5321 4.2.1). Else a text that begins
 * with no digit, so that nobody reads a yes or a no into it.
 */
export function legible(raw: string): string {
  if (hasCode(raw) && raw.charCodeAt(3) === BLANK && !raw.includes("\n")) return raw;
  const code = /^[2-5]\d\d(?!\w)/.exec(raw)?.[0];
  if (code === undefined) return `unclear: ${raw}`;
  if (!raw.includes("\n")) return raw;
  if (!/\n\d{3}(?: [^\n]*)?$/.test(raw)) return `unclear: ${raw}`;
  const contradicts = (line: string) => /^\d{3}(?!\w)/.test(line) && !line.startsWith(code);
  return raw.split("\n").some(contradicts) ? `unclear: ${raw}` : raw;
}

const [ZERO, NINE, BLANK] = [0x30, 0x39, 0x20];

/** Whether it begins with three digits as a reply's code has them; each reply is asked, so by no pattern. */
function hasCode(raw: string): boolean {
  const first = raw.charCodeAt(0) - ZERO;
  return first >= 2 && first <= 5 && isDigit(raw.charCodeAt(1)) && isDigit(raw.charCodeAt(2));
}

const isDigit = (code: number) => code >= ZERO && code <= NINE;

export function outOfStepText(reply: string): string {
  return `Replies do not fit the commands: ${reply}`;
}

/** One line of well-formed text without control characters, at most 500 characters. */
export function plain(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, REPLY_LENGTH)
    .toWellFormed();
}

/** The verdicts in the order of the recipients. */
export function decide(exchange: Exchange): Verdict[] {
  const { mail, rcpt, failure } = exchange;
  if (failure?.why === "out-of-step") {
    const verdict = exchange.dotSent ? unheard(failure) : decideFailure(failure);
    return rcpt.map(() => verdict);
  }
  if (mail !== null && !mail.startsWith("2")) {
    const verdict = refusal(mail);
    return rcpt.map(() => verdict);
  }
  let rest: Verdict | undefined;
  const taken = rcpt.some((reply) => reply?.startsWith("2"));
  return rcpt.map((reply) => {
    if (reply !== null && !reply.startsWith("2")) return recipientRefusal(reply, taken);
    if (reply === null) return unanswered(exchange);
    rest ??= decideAccepted(exchange);
    return rest;
  });
}

/** The verdict on everything that waited for a session that did not come about. */
export function decideFailure(failure: Failure): Verdict {
  if (failure.why === "aborted") return untried;
  const said = failure.why === "out-of-step" ? null : failure.reply;
  const reply = said === null ? null : parseReply(said);
  const enhanced = failure.permanent ?? temporary(reply?.enhanced ?? enhancedOf[failure.why]);
  const kind = failure.permanent === undefined ? "deferred" : "bounced";
  // A host may repeat our login in its refusal, and tenants read this text.
  const shown = reply === null || reply.text === "" ? plain(failure.text) : reply.text;
  const text = failure.why === "auth" ? "The next host refused our login" : shown;
  return { kind, code: reply?.code || null, enhanced, text, indeterminate: false };
}

export const untried: Verdict = { kind: "untried", code: null, enhanced: null, text: "", indeterminate: false };

/** Recipients that the peer accepted at RCPT. */
function decideAccepted({ data, end, dotSent, failure }: Exchange): Verdict {
  if (end !== null) {
    if (end.startsWith("2")) return delivered(end);
    return { ...refusal(end), indeterminate: !/^[45]/.test(end) };
  }
  if (data !== null && !data.startsWith("3")) return refusal(data);
  if (failure === null) return decideFailure({ why: "protocol", text: "The conversation stopped", reply: null });
  return dotSent ? unheard(failure) : decideFailure(failure);
}

/** The final dot was sent, and is not answered. */
function unheard({ text }: Failure): Verdict {
  return { kind: "deferred", code: null, enhanced: enhancedOf.lost, text: plain(text), indeterminate: true };
}

function unanswered({ failure }: Exchange): Verdict {
  return decideFailure(failure ?? { why: "protocol", text: "The recipient was not answered", reply: null });
}

function delivered(raw: string): Verdict {
  return { kind: "delivered", ...parseReply(raw), indeterminate: false };
}

function refusal(raw: string): Verdict {
  const reply = parseReply(raw);
  if (reply.code < 400) return { ...protocolError(reply), indeterminate: false };
  const permanent = reply.code >= 500 && !OURS.has(reply.code);
  const enhanced = reply.enhanced === null ? null : (permanent ? "5" : "4") + reply.enhanced.slice(1);
  return {
    kind: permanent ? "bounced" : "deferred",
    code: reply.code,
    enhanced,
    text: reply.text,
    indeterminate: false,
  };
}

/** RFC 5321 4.5.3.1.10: 452, and 552 of old servers, at RCPT mean "not more in this transaction" once others were taken. */
function recipientRefusal(raw: string, taken: boolean): Verdict {
  const verdict = refusal(raw);
  const { code, enhanced } = parseReply(raw);
  const full = (code === 452 || code === 552) && (enhanced === null || enhanced.endsWith(".5.3"));
  if (!full) return verdict;
  if (taken) return { ...verdict, kind: "another" };
  return enhanced === "5.5.3" ? { ...verdict, kind: "deferred", enhanced: "4.5.3" } : verdict;
}

function protocolError({ code, text }: Reply): Omit<Verdict, "indeterminate"> {
  return { kind: "deferred", code: code || null, enhanced: enhancedOf.protocol, text: `Unexpected reply: ${text}` };
}

const temporary = (enhanced: string) => `4${enhanced.slice(1)}`;

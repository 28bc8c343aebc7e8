/**
 * The mailboxes of a From or Sender field (RFC 5322 3.4), read for one purpose: whose domains does it claim?
 *
 * Invariant: every address that some reader could take for the author is in the answer, also one that stands in a
 * display name without quotes; what could be read in two ways is malformed, groups included.
 */
import { parseAddress } from "./address.ts";

type Token = Readonly<{ kind: "word" | "quoted" | "special"; text: string }>;

const SPACE = /[ \t]+/y;
const QUOTED = /"(?:[^"\\]|\\.)*"/suy;
const WORD = /[^ \t"()<>,:;[\]\\]+/uy;
const SPECIAL = /[<>,:;[\]]/y;
const ENCODED_WORD = /^=\?[^?]+\?[bq]\?[^?]*\?=$/i;
const MAX_MAILBOXES = 50;

/** Nearly all fields: `Some Name <one@address.example>`. What it can't be taken for is left to the tokens. */
const ORDINARY = /^[A-Za-z0-9 _'-]*<([A-Za-z0-9_+.-]+@[A-Za-z0-9.-]+)>$/;

/** Addresses in their inner form (address.ts), at least one; undefined when the value is malformed. */
export function parseMailboxes(value: string): string[] | undefined {
  const ordinary = ORDINARY.exec(value)?.[1];
  if (ordinary !== undefined) {
    const address = parseAddress(ordinary);
    return address === undefined ? undefined : [address];
  }
  const tokens = tokenize(value);
  if (tokens === undefined) return undefined;
  const found: string[] = [];
  for (const element of splitAtCommas(tokens)) {
    if (element.length === 0) continue; // an empty list element (RFC 5322 4.4)
    const mailbox = parseMailbox(element);
    if (mailbox === undefined) return undefined;
    found.push(...mailbox);
    if (found.length > MAX_MAILBOXES) return undefined;
  }
  return found.length > 0 ? found : undefined;
}

/** Tokens without comments and white space; undefined when a quote or comment is left open, or stands alone. */
function tokenize(value: string): Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  while (at < value.length) {
    if (value[at] === "(") {
      at = commentEnd(value, at);
      if (at < 0) return undefined;
      continue;
    }
    const text = matchAt(SPACE, value, at);
    if (text !== undefined) {
      at += text.length;
      continue;
    }
    const token = tokenAt(value, at);
    if (token === undefined) return undefined;
    tokens.push(token);
    at += token.text.length;
  }
  return tokens;
}

function tokenAt(value: string, at: number): Token | undefined {
  const quoted = matchAt(QUOTED, value, at);
  if (quoted !== undefined) return { kind: "quoted", text: quoted };
  const special = matchAt(SPECIAL, value, at);
  if (special !== undefined) return { kind: "special", text: special };
  const word = matchAt(WORD, value, at);
  return word === undefined ? undefined : { kind: "word", text: word };
}

function matchAt(pattern: RegExp, value: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(value)?.[0];
}

/** Comments nest, and a quote has no meaning in them. -1 when it does not end. */
function commentEnd(value: string, start: number): number {
  let depth = 0;
  for (let at = start; at < value.length; at += 1) {
    const char = value[at];
    if (char === "\\") at += 1;
    else if (char === "(") depth += 1;
    else if (char === ")") {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}

function splitAtCommas(tokens: readonly Token[]): Token[][] {
  const elements: Token[][] = [[]];
  for (const token of tokens) {
    if (isSpecial(token, ",")) elements.push([]);
    else elements.at(-1)?.push(token);
  }
  return elements;
}

function parseMailbox(tokens: readonly Token[]): string[] | undefined {
  const open = tokens.findIndex((token) => isSpecial(token, "<"));
  if (open < 0) return addressOf(tokens);
  if (tokens.findIndex((token) => isSpecial(token, ">")) !== tokens.length - 1) return undefined;
  const address = addressOf(tokens.slice(open + 1, -1));
  const claimed = claims(tokens.slice(0, open));
  return address === undefined || claimed === undefined ? undefined : [...address, ...claimed];
}

/** Addresses in a display name that is not quoted, as many programs write it: `a@b.example <a@b.example>`. */
function claims(name: readonly Token[]): string[] | undefined {
  const found: string[] = [];
  for (const { kind, text } of name) {
    if (kind === "special") return undefined;
    if (kind === "quoted" || !text.includes("@") || ENCODED_WORD.test(text)) continue;
    const address = parseAddress(text);
    if (address === undefined) return undefined;
    found.push(address);
  }
  return found;
}

/** `a b@c` is two words, not `ab@c`: only a quoted local part and an address literal are made of several tokens. */
function addressOf(tokens: readonly Token[]): string[] | undefined {
  for (const [i, token] of tokens.entries()) {
    if (isSpecial(token, "<") || isSpecial(token, ";")) return undefined;
    if (token.kind === "word" && tokens[i - 1]?.kind === "word") return undefined;
  }
  const address = parseAddress(tokens.map((token) => token.text).join(""));
  return address === undefined ? undefined : [address];
}

function isSpecial(token: Token, text: string): boolean {
  return token.kind === "special" && token.text === text;
}

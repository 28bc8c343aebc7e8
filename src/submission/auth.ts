/**
 * AUTH PLAIN and LOGIN.
 *
 * Invariant: a wrong user name and a wrong password are answered with the same text; a connection ends with its fifth
 * failure; the field of the password is never logged, nor is one of our passwords in the field of the user name.
 */
import type { Authenticator, SendingAccount, SmtpAnswer } from "../accounts/authenticate.ts";
import type { Reply } from "../mail/reply.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { SECRET_FORM } from "../platform/secrets.ts";
import * as replies from "./replies.ts";
import type { Session } from "./session.ts";

export type AuthDeps = Readonly<{
  authenticate: Authenticator["smtp"];
  log: Log;
  metrics: Pick<Metrics, "authFailures">;
  maxAuthFailures: number;
}>;

/** `authzid` is the identity to act as (RFC 4616), empty where the client gave none. */
export type Attempt = Readonly<{ username: string; password: string; authzid: string }>;

export type AuthResult =
  | Readonly<{ kind: "sending"; account: SendingAccount }>
  /** `close`: the connection ends after the reply. */
  | Readonly<{ kind: "refused"; reply: Reply; close: boolean }>;

export async function authenticate(session: Session, attempt: Attempt, deps: AuthDeps): Promise<AuthResult> {
  if (!session.mayAuthenticate) return refused(replies.tlsRequired, false);
  const answer = await ask(attempt, session, deps);
  if (answer.kind === "sending") return { kind: "sending", account: answer };
  session.authFailures += 1;
  deps.metrics.authFailures.inc();
  deps.log.info({
    event: "auth.failed",
    reason: answer.kind,
    ...(answer.kind === "inactive" ? { state: answer.state } : {}),
    username: shownName(attempt.username),
    client: session.clientAddress,
  });
  if (answer.kind === "locked") return refused(replies.lockedOut, true);
  if (answer.kind === "inactive") return refused(replies.accountInactive(answer), false);
  return refused(replies.authenticationFailed, answer.locked || session.authFailures >= deps.maxAuthFailures);
}

/** People put their password into the field above, too. */
function shownName(username: string): string {
  return SECRET_FORM.test(username) ? "[a password]" : username.slice(0, 200);
}

/** Nobody may act as someone else: the library takes the identity to act as for the user name where there is none. */
async function ask({ username, password, authzid }: Attempt, session: Session, deps: AuthDeps): Promise<SmtpAnswer> {
  if (authzid !== "" && authzid !== username) return { kind: "denied", locked: false };
  return deps.authenticate(username, password, session.clientAddress);
}

function refused(reply: Reply, close: boolean): AuthResult {
  return { kind: "refused", reply, close };
}

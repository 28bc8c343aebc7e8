/**
 * The library's events, answered from the rooms.
 *
 * Invariant: every command gets exactly one answer, whatever a room does: one that throws is a 451 and a log line, never a
 * hung client or a crashed process.
 */
import type { SMTPServerAddress, SMTPServerOptions } from "smtp-server";
import type { SendingAccount } from "../accounts/authenticate.ts";
import { whenKnown } from "../accounts/recent.ts";
import { replyText } from "../mail/reply.ts";
import type { Log } from "../platform/log.ts";
import { authenticate } from "./auth.ts";
import { type Connection, connectionOf } from "./connection.ts";
import type { HandlerDeps, SubmissionDeps } from "./deps.ts";
import type { Limits } from "./limits.ts";
import type { ServedAs } from "./listener.ts";
import { type Answer, receive } from "./receive.ts";
import { noteRefusal } from "./refusals.ts";
import * as replies from "./replies.ts";
import { mail, type Path, type Refusal, rcpt, type Transaction } from "./session.ts";

type Handlers = Required<
  Pick<SMTPServerOptions, "onConnect" | "onSecure" | "onAuth" | "onMailFrom" | "onRcptTo" | "onData" | "onClose">
>;
type Callback = (error?: Error | null) => void;

export function createHandlers(
  deps: HandlerDeps,
  limits: Pick<Limits, "maxAuthFailures">,
  closed: (connection: Connection) => void,
): Handlers {
  return {
    // At once, and not a turn of the event loop later, in which a hasty client would have "talked too soon".
    onConnect: (_, callback) => callback(),
    onSecure: (_, __, callback) => callback(),
    onAuth: authHandler(deps, limits),
    onMailFrom: mailHandler(deps),
    onRcptTo: rcptHandler(deps),
    onData: dataHandler(deps),
    onClose: (session) => closed(connectionOf(session)),
  };
}

/** After STARTTLS nothing is read before the callback. With TLS from the start the listener has asked. */
export function secureHandler(servedAs: ServedAs): Handlers["onSecure"] {
  return (_, session, callback) => {
    const known = session.servername ? servedAs(session.servername) : undefined;
    void whenKnown(known, (host) => {
      if (host !== undefined) connectionOf(session).serveAs(host);
      callback();
    });
  };
}

function authHandler(deps: SubmissionDeps, { maxAuthFailures }: Pick<Limits, "maxAuthFailures">): Handlers["onAuth"] {
  const authDeps = { ...deps, maxAuthFailures };
  return (auth, session, callback) => {
    const connection = connectionOf(session);
    const { username = "", password, authzid = "" } = auth;
    const work = authenticate(connection, { username, password: password ?? "", authzid }, authDeps);
    answerWith(connection, deps.log, work, (result) => {
      if (result?.kind === "sending") return callback(null, { user: result.account });
      callback(replies.asError(result?.reply ?? replies.temporaryFailure));
      if (result?.close) connection.close();
    });
  };
}

function mailHandler(deps: HandlerDeps): Handlers["onMailFrom"] {
  const sessionDeps = { ...deps, maxRecipients: deps.config.maxRecipients };
  return (address, session, callback) => {
    const connection = connectionOf(session);
    const path = pathOf(address);
    const work = mail(connection, path, sessionDeps).then(async (refusal) => {
      if (refusal?.reason === "rate" || refusal?.reason?.startsWith("quota"))
        await deps.pacing.turn((connection.account as SendingAccount).subaccountId);
      return { refusal };
    });
    answerWith(connection, deps.log, work, (result) => {
      const refusal = result === undefined ? { reply: replies.temporaryFailure } : result.refusal;
      if (refusal !== undefined) noteAbout(connection, refusal, path.address, undefined, deps);
      answer(callback, refusal);
    });
  };
}

function rcptHandler(deps: SubmissionDeps): Handlers["onRcptTo"] {
  const { maxRecipients } = deps.config;
  return (address, session, callback) => {
    const connection = connectionOf(session);
    const path = pathOf(address);
    const refusal = rcpt(connection, path, { maxRecipients });
    if (refusal !== undefined) noteAbout(connection, refusal, connection.transaction?.sender ?? "", path.address, deps);
    answer(callback, refusal);
  };
}

function dataHandler(deps: HandlerDeps): Handlers["onData"] {
  const { log, config } = deps;
  const receiveDeps = { ...deps, hostname: config.hostname, maxMessageBytes: config.maxMessageBytes };
  return (stream, session, callback) => {
    const connection = connectionOf(session);
    const { transaction } = connection;
    if (transaction === undefined) return callback(replies.asError(replies.needMail));
    connection.enter("data");
    const finish = (result: Answer) => {
      connection.enter("command");
      settle(result, connection, transaction, callback, deps);
    };
    const client = {
      received: () => connection.enter("busy"),
      tooSlow: () => connection.dismiss(replies.tooSlow),
    };
    receive(stream, connection, transaction, receiveDeps, client)
      .then(finish, (error: unknown) => {
        log.error({ event: "message.failed", err: error, client: connection.clientAddress }, "a message was not taken");
        finish({ kind: "refused", refusal: { reply: replies.temporaryFailure } });
      })
      .catch(cutOff(connection, log));
  };
}

/** Tells the client what became of its message. */
function settle(
  result: Answer,
  connection: Connection,
  { account, sender, recipients }: Transaction,
  callback: (error?: Error | null, text?: string) => void,
  deps: HandlerDeps,
): void {
  if (result.kind === "silence") {
    connection.destroy();
    deps.inDoubt.note(result.doubtful);
  } else if (result.kind === "accepted") {
    connection.progressed();
    deps.pacing.accepted(account.subaccountId);
    connection.promise(result.doubtful);
    callback(null, replyText(result.reply));
  } else if (result.kind === "refused") {
    const { clientAddress } = connection;
    noteRefusal(result.refusal, { account, sender, units: recipients.size, clientAddress }, deps);
    answer(callback, result.refusal);
  }
  connection.answered();
}

/** Gives the result of `work` to `done`, undefined when it failed. Until then the client waits for us. */
function answerWith<T>(
  connection: Connection,
  log: Log,
  work: Promise<T>,
  done: (result: T | undefined) => void,
): void {
  connection.enter("busy");
  const finish = (result: T | undefined) => {
    connection.enter("command");
    done(result);
    connection.answered();
  };
  work
    .then(finish, (error: unknown) => {
      log.error({ event: "session.failed", err: error, client: connection.clientAddress }, "a handler failed");
      finish(undefined);
    })
    .catch(cutOff(connection, log));
}

/** The answer itself could not be given. */
function cutOff(connection: Connection, log: Log): (error: unknown) => void {
  return (error) => {
    log.error({ event: "session.broken", err: error, client: connection.clientAddress }, "a connection was cut off");
    connection.destroy();
  };
}

function noteAbout(
  { account, clientAddress }: Connection,
  refusal: Refusal,
  sender: string,
  recipient: string | undefined,
  deps: SubmissionDeps,
): void {
  if (account !== undefined) noteRefusal(refusal, { account, sender, recipient, units: 0, clientAddress }, deps);
}

function pathOf({ address, args }: SMTPServerAddress): Path {
  return { address, parameters: args || {} };
}

function answer(callback: Callback, refusal: Refusal | undefined): void {
  callback(refusal === undefined ? null : replies.asError(refusal.reply));
}

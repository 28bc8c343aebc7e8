/**
 * The library's events, answered from the rooms.
 *
 * Invariant: every command gets exactly one answer, whatever a room does: one that throws is a 451 and a log line, never a
 * hung client or a crashed process.
 */
import type { SMTPServerAddress, SMTPServerOptions } from "smtp-server";
import { replyText } from "../mail/reply.ts";
import { authenticate } from "./auth.ts";
import { type Connection, connectionOf } from "./connection.ts";
import type { SubmissionDeps } from "./deps.ts";
import { type Answer, receive } from "./receive.ts";
import { noteRefusal } from "./refusals.ts";
import * as replies from "./replies.ts";
import { mail, type Path, type Refusal, rcpt } from "./session.ts";

type Handlers = Required<Pick<SMTPServerOptions, "onAuth" | "onMailFrom" | "onRcptTo" | "onData" | "onClose">>;
type Callback = (error?: Error | null) => void;

export function createHandlers(deps: SubmissionDeps, closed: (connection: Connection) => void): Handlers {
  const { config, log } = deps;
  const sessionDeps = { ...deps, maxRecipients: config.maxRecipients };
  const receiveDeps = { ...deps, hostname: config.hostname, maxMessageBytes: config.maxMessageBytes };
  const authDeps = { ...deps, maxAuthFailures: deps.limits?.maxAuthFailures ?? 5 };

  /** Runs `work`; the client waits for us until `done` has been called. */
  function answering<T>(connection: Connection, work: () => Promise<T>, done: (result: T | undefined) => void): void {
    connection.enter("busy");
    const finish = (result: T | undefined) => {
      connection.enter("command");
      done(result);
      connection.answered();
    };
    work().then(finish, (error: unknown) => {
      log.error({ event: "session.failed", err: error, client: connection.clientAddress }, "a handler failed");
      finish(undefined);
    });
  }

  return {
    onAuth(auth, session, callback) {
      const connection = connectionOf(session);
      const { username = "", password, authzid = "" } = auth;
      const attempt = { username, password: password ?? "", authzid };
      const work = () => authenticate(connection, attempt, connection.authFailures, authDeps);
      answering(connection, work, (result) => {
        if (result === undefined) return callback(replies.asError(replies.temporaryFailure));
        if (result.kind === "sending") return callback(null, { user: result.account });
        connection.authFailures += 1;
        callback(replies.asError(result.reply));
        if (result.close) connection.close();
      });
    },

    onMailFrom(address, session, callback) {
      const connection = connectionOf(session);
      const path = pathOf(address);
      const work = async () => ({ refusal: await mail(connection, path, sessionDeps) });
      answering(connection, work, (result) => {
        const refusal = result === undefined ? { reply: replies.temporaryFailure } : result.refusal;
        if (refusal !== undefined) noteAbout(connection, refusal, path.address);
        answer(callback, refusal);
      });
    },

    onRcptTo(address, session, callback) {
      const connection = connectionOf(session);
      const path = pathOf(address);
      const refusal = rcpt(connection, path, sessionDeps);
      if (refusal !== undefined) noteAbout(connection, refusal, connection.transaction?.sender ?? "", path.address);
      answer(callback, refusal);
    },

    onData(stream, session, callback) {
      const connection = connectionOf(session);
      const { transaction } = connection;
      if (transaction === undefined) return callback(replies.asError(replies.needMail));
      connection.enter("data");
      const finish = (result: Answer) => {
        connection.enter("command");
        if (result.kind === "gone") return;
        if (result.kind === "silence") return connection.destroy();
        if (result.kind === "accepted") {
          connection.progressed();
          callback(null, replyText(result.reply));
        } else {
          const { account, sender, recipients } = transaction;
          const about = { account, sender, units: recipients.size, clientAddress: connection.clientAddress };
          noteRefusal(result.refusal, about, deps);
          answer(callback, result.refusal);
        }
        connection.answered();
      };
      receive(stream, connection, transaction, receiveDeps, () => connection.enter("busy")).then(
        finish,
        (error: unknown) => {
          log.error(
            { event: "message.failed", err: error, client: connection.clientAddress },
            "a message could not be taken",
          );
          finish({ kind: "refused", refusal: { reply: replies.temporaryFailure } });
        },
      );
    },

    onClose(session) {
      closed(connectionOf(session));
    },
  };

  function noteAbout(connection: Connection, refusal: Refusal, sender: string, recipient?: string): void {
    const { account, clientAddress } = connection;
    if (account !== undefined) noteRefusal(refusal, { account, sender, recipient, units: 0, clientAddress }, deps);
  }
}

function pathOf({ address, args }: SMTPServerAddress): Path {
  return { address, parameters: args || {} };
}

function answer(callback: Callback, refusal: Refusal | undefined): void {
  callback(refusal === undefined ? null : replies.asError(refusal.reply));
}

/** The built-in mailbox. */
import { z } from "@hono/zod-openapi";
import {
  type CapturedMail,
  type CapturedText,
  listCaptured,
  readCaptured,
  readCapturedBytes,
} from "../delivery/captured.ts";
import type { CapturedId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idField, idParams, instant, line, listOf, pageParams, showId, showInstant, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";

const tag = "Captured mail";
const access = { who: everyone, scopes: ["read"] } as const;

const capturedShape = z
  .strictObject({
    id: shownId("cap"),
    message_id: shownId("msg"),
    subaccount_id: shownId("sub"),
    from: z.string().openapi({ description: "The envelope's; empty for <>." }),
    recipients: z.array(z.string()),
    subject: z.string().nullable(),
    header_from: z.string().nullable(),
    size_bytes: z.int(),
    captured_at: instant,
  })
  .openapi("CapturedMail");

const wholeShape = capturedShape
  .extend({
    text: z.string().nullable().openapi({ description: "What can be read of it; null when that is nothing." }),
    attachments: z.array(
      z.strictObject({ filename: z.string().nullable(), content_type: z.string(), size_bytes: z.int() }),
    ),
  })
  .openapi("CapturedMailWithText");

const RAW = "message/rfc822";

export function capturedEndpoints(deps: Deps): Endpoint[] {
  return [
    list(deps),
    endpoint(
      {
        method: "get",
        path: "/v1/captured/{id}",
        tag,
        summary: "One captured mail with its text",
        access,
        params: idParams("cap"),
        status: 200,
        answer: wholeShape,
      },
      async ({ db, principal, params }) => ({ body: showWhole(await readCaptured(db, principal, params.id)) }),
    ),
    endpoint(
      {
        method: "get",
        path: "/v1/captured/{id}/raw",
        tag,
        summary: "The message as it would have been sent",
        access,
        params: idParams("cap"),
        status: 200,
        also: { [RAW]: "The bytes." },
      },
      async ({ db, principal, params }) => {
        const bytes = await readCapturedBytes(db, principal, params.id);
        return { content: { type: RAW, bytes, fileName: `${showId("cap", params.id)}.eml` } };
      },
    ),
  ];
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/captured",
      tag,
      summary: "Captured mail, newest first",
      access,
      query: z.strictObject({
        subaccount_id: idField("sub").optional(),
        recipient: line(320).optional(),
        ...pageParams,
      }),
      status: 200,
      answer: listOf(capturedShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const { subaccount_id: subaccountId, recipient } = call.query;
      const filter = { subaccountId, recipient, before: after?.[0] as CapturedId | undefined, limit };
      return { body: page(await listCaptured(call.db, call.principal, filter), showCaptured, ({ id }) => [id]) };
    },
  );
}

function showCaptured(mail: CapturedMail): z.output<typeof capturedShape> {
  return {
    id: showId("cap", mail.id),
    message_id: showId("msg", mail.messageId),
    subaccount_id: showId("sub", mail.subaccountId),
    from: mail.from,
    recipients: [...mail.recipients],
    subject: mail.subject,
    header_from: mail.headerFrom,
    size_bytes: mail.sizeBytes,
    captured_at: showInstant(mail.capturedAt),
  };
}

function showWhole(mail: CapturedMail & CapturedText): z.output<typeof wholeShape> {
  const attachments = mail.attachments.map(({ fileName, contentType, sizeBytes }) => ({
    filename: fileName,
    content_type: contentType,
    size_bytes: sizeBytes,
  }));
  return { ...showCaptured(mail), text: mail.text, attachments };
}

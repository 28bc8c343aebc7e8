/** A brand's members: what is taken, and how it is shown. */
import { z } from "@hono/zod-openapi";
import { type Chosen, logoPath, showAccount } from "../branding/brand.ts";
import { certificateText, keyText, MAX_CHAIN_CHARACTERS, MAX_KEY_CHARACTERS } from "../branding/certificate.ts";
import { colour, host, logo, plainEmail } from "../branding/fields.ts";
import { accountOf, type OwnBrand } from "../branding/find.ts";
import { MAX_LOGO_BYTES, MAX_LOGO_CHARACTERS } from "../branding/logo.ts";
import * as field from "./fields.ts";

const member = <S extends z.ZodType>(schema: S, description: string) =>
  schema.nullable().optional().openapi({ description });

export const brandChange = z
  .strictObject({
    product_name: member(field.line(100), "What its people know the service as."),
    support_address: member(
      field.ruled(z.string(), plainEmail).openapi({ format: "email", example: "help@acme.example" }),
      "Who helps: in mails, pages and refusals.",
    ),
    colour: member(field.ruled(z.string(), colour).openapi({ pattern: "^#[0-9a-fA-F]{6}$" }), "Of buttons and bars."),
    footer: member(field.text(500), "Below every mail and page."),
    sender_address: member(
      field.ruled(z.string(), plainEmail).openapi({ format: "email", example: "service@acme.example" }),
      "From of system mails; in use while its domain is verified.",
    ),
    host: member(
      field.ruled(z.string(), host).openapi({ maxLength: 253, example: "mail.acme.example" }),
      "Of portal and SMTP; in use while its domain is verified. A certificate that does not cover it goes with a change.",
    ),
    logo: member(
      field
        .ruled(z.string().max(MAX_LOGO_CHARACTERS), logo)
        .openapi({ pattern: "^data:image/(png|jpeg|webp);base64," }),
      `A data URL of a PNG, JPEG or WebP of at most ${MAX_LOGO_BYTES} bytes.`,
    ),
  })
  .openapi("BrandChange", {
    example: { product_name: "Acme Mail", colour: "#0a7d4b", support_address: "help@acme.example", logo: null },
  });

export const newCertificate = z
  .strictObject({
    certificate: field.ruled(z.string().max(MAX_CHAIN_CHARACTERS), certificateText).openapi({
      description: "PEM: the certificate for the host, then those that lead to its root.",
      example: "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
    }),
    private_key: field.ruled(z.string().max(MAX_KEY_CHARACTERS), keyText).openapi({
      description: "PEM, without a passphrase: RSA of 2048 to 4096 bits, EC or Ed25519. It is never shown again.",
      example: "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
    }),
  })
  .openapi("NewCertificate", {
    example: { certificate: "-----BEGIN CERTIFICATE-----\n...", private_key: "-----BEGIN PRIVATE KEY-----\n..." },
  });

export const certificateShape = z
  .strictObject({
    names: z.array(z.string()).openapi({ example: ["mail.acme.example"] }),
    issuer: z.string(),
    not_before: field.instant,
    not_after: field.instant,
    fingerprint: z.string().openapi({ description: "SHA-256." }),
  })
  .openapi("BrandCertificate");

const chosen = <S extends z.ZodType>(value: S) =>
  z.strictObject({
    value,
    from: z.enum(["subaccount", "master", "default"]).openapi({ description: "Whose choice it is." }),
  });

const effectiveShape = z
  .strictObject({
    product_name: chosen(z.string()),
    support_address: chosen(z.string().nullable()),
    colour: chosen(z.string()),
    footer: chosen(z.string().nullable()),
    sender_address: chosen(z.string()),
    host: chosen(z.string().nullable()).openapi({ description: "Null: the relay's own." }),
    logo: chosen(z.string().nullable()).openapi({ description: "Path of the picture." }),
  })
  .openapi("EffectiveBrand");

export const brandShape = z
  .strictObject({
    account_id: z.string().openapi({ description: "Whose it is: mas_... or sub_..." }),
    product_name: z.string().nullable(),
    support_address: z.string().nullable(),
    colour: z.string().nullable(),
    footer: z.string().nullable(),
    sender_address: z.string().nullable(),
    host: z.string().nullable(),
    logo: z.strictObject({ type: z.string(), size_bytes: z.int(), path: z.string() }).nullable(),
    certificate: certificateShape.nullable(),
    in_use: z
      .strictObject({ sender_address: z.boolean(), host: z.boolean() })
      .openapi({ description: "False while its domain is not verified: what stands above it is used instead." }),
    effective: effectiveShape.openapi({ description: "What its people see." }),
    updated_at: field.instant.nullable(),
  })
  .openapi("Brand");

export function showBrand(brand: OwnBrand): z.output<typeof brandShape> {
  const { own, certificate, version } = brand;
  return {
    account_id: showAccount(accountOf(brand), brand.masterId),
    product_name: own.productName,
    support_address: own.supportAddress,
    colour: own.colour,
    footer: own.footer,
    sender_address: own.senderAddress,
    host: own.host,
    logo: own.logo && { type: own.logo.type, size_bytes: own.logo.sizeBytes, path: logoPath(own) as string },
    certificate: certificate && showCertificate(certificate),
    in_use: { sender_address: own.senderProven, host: own.hostProven },
    effective: showEffective(brand.effective),
    updated_at: version === 0 ? null : field.showInstant(own.updatedAt),
  };
}

function showEffective(effective: OwnBrand["effective"]): z.output<typeof effectiveShape> {
  const show = <T>({ value, from }: Chosen<T>) => ({ value, from });
  return {
    product_name: show(effective.productName),
    support_address: show(effective.supportAddress),
    colour: show(effective.colour),
    footer: show(effective.footer),
    sender_address: show(effective.senderAddress),
    host: show(effective.host),
    logo: show(effective.logo),
  };
}

function showCertificate(facts: NonNullable<OwnBrand["certificate"]>): z.output<typeof certificateShape> {
  const { names, issuer, notBefore, notAfter, fingerprint } = facts;
  const [not_before, not_after] = [notBefore, notAfter].map((at) => field.showInstant(at)) as [string, string];
  return { names: [...names], issuer, not_before, not_after, fingerprint };
}

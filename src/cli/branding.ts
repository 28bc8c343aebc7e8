/** `postmeter branding`: how accounts show themselves to their people. */
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import type { Command } from "commander";
import { actFor } from "../accounts/act-for.ts";
import type { Principal } from "../accounts/principal.ts";
import { showAccount } from "../branding/brand.ts";
import { changeBrand } from "../branding/change.ts";
import { removeCertificate, setCertificate } from "../branding/change-certificate.ts";
import type { BrandDetails } from "../branding/fields.ts";
import { accountOf, findBrand, type OwnBrand } from "../branding/find.ts";
import { Fault } from "../platform/errors.ts";
import type { SubaccountId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { facts, table } from "./layout.ts";
import { operator, type Session } from "./session.ts";
import { shape } from "./shape.ts";
import { type Cli, group, type Options, runWith, type Shown, verb } from "./verb.ts";

const aMaster = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";
const aSubaccount = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";
const anAccount = "mas_... or sub_...";

export function addBrandingCommands(program: Command, cli: Cli): void {
  const branding = group(program, "branding", "how accounts show themselves to their people");
  verb(branding, "show", "what an account has chosen, and what its people see", [`branding show ${aMaster}`])
    .argument("<account>", anAccount, input.account)
    .action((ref: input.AccountRef, options: Options) =>
      runWith(cli, options, async (session) => shownBrand(await read(session, await ownerOf(session, ref)))),
    );
  addSet(branding, cli);
  addCertificate(branding, cli);
}

type SetOptions = Options & Readonly<{ [K in keyof BrandDetails]?: string | input.None }>;

function addSet(branding: Command, cli: Cli): void {
  verb(branding, "set", "change members; none takes one back", [
    `branding set ${aMaster} --product-name "Acme Mail" --colour "#0a7d4b" --logo acme.png`,
    `branding set ${aMaster} --host mail.acme.example --sender-address service@acme.example`,
    `branding set ${aSubaccount} --logo none`,
  ])
    .argument("<account>", anAccount, input.account)
    .option("--product-name <text>", "what its people know the service as", input.textOrNone)
    .option("--support-address <address>", "who helps", input.textOrNone)
    .option("--colour <colour>", "#rrggbb", input.textOrNone)
    .option("--footer <text>", "below every mail and page", input.textOrNone)
    .option("--sender-address <address>", "From of system mails; in use while its domain is verified", input.textOrNone)
    .option("--host <name>", "of portal and SMTP; in use while its domain is verified", input.textOrNone)
    .option("--logo <file>", "PNG, JPEG or WebP of at most 100 KiB", input.textOrNone)
    .action((ref: input.AccountRef, { json, ...options }: SetOptions) =>
      runWith(cli, { ...(json && { json }) }, async (session) => {
        const owner = await ownerOf(session, ref);
        const { logo, ...members } = input.withNulls(options);
        const patch = { ...members, ...(logo !== undefined && { logo: logo === null ? null : dataUrlOf(logo) }) };
        await changeBrand(session.db, owner.principal, owner.subaccountId, patch, {}, session.clock);
        return shownBrand(await read(session, owner));
      }),
    );
}

type CertificateOptions = Options & Readonly<{ cert?: string; key?: string; remove?: true }>;

function addCertificate(branding: Command, cli: Cli): void {
  verb(branding, "certificate", "the certificate for the host, served by SMTP to who asks for it", [
    `branding certificate ${aMaster} --cert fullchain.pem --key privkey.pem`,
    `branding certificate ${aMaster} --remove`,
  ])
    .argument("<account>", anAccount, input.account)
    .option("--cert <file>", "PEM, with those that lead to its root")
    .option("--key <file>", "PEM, without a passphrase")
    .option("--remove", "serve the node's own again")
    .action((ref: input.AccountRef, options: CertificateOptions, command: Command) => {
      const { cert, key, remove = false } = options;
      const pair = cert !== undefined && key !== undefined ? { cert, key } : undefined;
      const any = cert !== undefined || key !== undefined;
      if (remove ? any : pair === undefined) {
        command.error("error: give --cert and --key, or --remove alone", { exitCode: 2 });
      }
      return runWith(cli, options, async (session) => {
        const owner = await ownerOf(session, ref);
        const { db, clock, keyring } = session;
        const { principal, subaccountId } = owner;
        if (pair === undefined) await removeCertificate(db, principal, subaccountId, {}, clock);
        else {
          const given = { certificate: readText(pair.cert), privateKey: readText(pair.key) };
          await setCertificate(db, principal, subaccountId, given, { keyring: keyring() }, clock);
        }
        return shownBrand(await read(session, owner));
      });
    });
}

type Chosen = Readonly<{ principal: Principal; subaccountId: SubaccountId | undefined }>;

async function ownerOf({ db, clock }: Session, ref: input.AccountRef): Promise<Chosen> {
  if (ref.kind === "subaccount") return { principal: operator, subaccountId: ref.id };
  return { principal: await actFor(db, operator, input.showAccount(ref), clock), subaccountId: undefined };
}

function read({ db, clock, config }: Session, { principal, subaccountId }: Chosen): Promise<OwnBrand> {
  return findBrand(db, principal, subaccountId, clock, config.systemFrom);
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Fault("invalid", `${path} can't be read: ${(error as NodeJS.ErrnoException).code}.`);
  }
}

const readText = (path: string): string => readFile(path).toString("utf8");

/** The kind is told by the file's name, and checked by its bytes. */
function dataUrlOf(path: string): string {
  const type = { ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp" }[extname(path).toLowerCase()];
  return `data:image/${type ?? "unknown"};base64,${readFile(path).toString("base64")}`;
}

function shownBrand(brand: OwnBrand): Shown {
  const { own, certificate, effective } = brand;
  const id = showAccount(accountOf(brand), brand.masterId);
  const inUse: Readonly<Record<string, boolean>> = { senderAddress: own.senderProven, host: own.hostProven };
  const names = Object.keys(effective) as (keyof OwnBrand["effective"])[];
  const rows = names.map((name) => {
    const { value, from } = effective[name];
    const chosen = name === "logo" ? own.logo && `${own.logo.type}, ${own.logo.sizeBytes} bytes` : own[name];
    const idle = chosen !== null && inUse[name] === false ? " (not in use: its domain is not verified)" : "";
    return [
      name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
      `${chosen ?? "-"}${idle}`,
      value ?? "-",
      from,
    ];
  });
  const head = facts({
    account: id,
    certificate:
      certificate === null ? undefined : `${certificate.names.join(", ")} until ${certificate.notAfter.toISOString()}`,
  });
  const { productName, supportAddress, colour, footer, senderAddress, host, logo } = own;
  const chosen = { productName, supportAddress, colour, footer, senderAddress, host, logo };
  const json = { ...chosen, certificate, inUse, effective };
  return {
    json: { account_id: id, ...(shape(json) as Record<string, unknown>) },
    text: `${head}\n\n${table(["member", "chosen", "shown", "from"], rows)}`,
  };
}

/** `postmeter quota rate` and `quota reserve`: what holds mail back beside the monthly limits. */
import type { Command } from "commander";
import { changeCredential } from "../accounts/change-credential.ts";
import { changeMaster } from "../accounts/change-master.ts";
import { changeSubaccount } from "../accounts/change-subaccount.ts";
import { type CredentialId, formatId, type SubaccountId } from "../platform/ids.ts";
import type { RateLimits } from "../platform/schema.ts";
import * as input from "./input.ts";
import { facts } from "./layout.ts";
import { operator, type Session } from "./session.ts";
import { credentialShape, masterShape } from "./shape.ts";
import { shownRate, shownSubaccount } from "./subaccount-view.ts";
import { type Cli, type Options, runWith, type Shown, verb } from "./verb.ts";

const aSubaccount = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";

type RateOptions = Options & { [span in keyof RateLimits]?: number | input.None };

export function addRateCommands(quota: Command, cli: Cli): void {
  addDailyCap(quota, cli);
  verb(quota, "rate", "limits of a short time, of a subaccount or a credential; what is not given stays", [
    `quota rate ${aSubaccount} --minute 60 --day 5000`,
    "quota rate cred_01kb2m5xj7e1fr0x4m4f6a0z3q --hour 200",
    `quota rate ${aSubaccount} --minute none`,
  ])
    .argument("<id>", "sub_... or cred_...", input.subaccountOrCredential)
    .option("--minute <units>", "recipients in any minute, or none", input.unitsOrNone)
    .option("--hour <units>", "in any hour, or none", input.unitsOrNone)
    .option("--day <units>", "in any 24 hours, or none", input.unitsOrNone)
    .action((ref: input.LimitedRef, { json, ...given }: RateOptions) =>
      runWith(cli, { ...(json && { json }) }, (session) => {
        const rateLimits = input.withNulls(given);
        return ref.kind === "subaccount"
          ? change(session, ref.id, { rateLimits })
          : changeOfCredential(session, ref.id, rateLimits);
      }),
    );
  verb(quota, "reserve", "units of the limit that are kept for transactional credentials", [
    `quota reserve ${aSubaccount} 500`,
    `quota reserve ${aSubaccount} none`,
  ])
    .argument("<subaccount>", "sub_...", input.idOf("sub"))
    .argument("<units>", "how many, or none", input.unitsOrNone)
    .action((id: SubaccountId, units: number | input.None, options: Options) =>
      runWith(cli, options, (session) => change(session, id, { reserve: input.orNull(units) })),
    );
}

function addDailyCap(quota: Command, cli: Cli): void {
  verb(quota, "daily-cap", "caps of the first days: of a subaccount, or what a master's new ones start with", [
    `quota daily-cap ${aSubaccount} 1000,2000,5000`,
    "quota daily-cap mas_01kb2m5xj7e1fr0x4m4f6a0z3q 1000,2000,5000 --from-limit 5000",
    `quota daily-cap ${aSubaccount} none`,
  ])
    .argument("<account>", "sub_... or mas_...", input.account)
    .argument("<units>", "in any 24 hours of the first day, the second and so on, or none", input.unitsByDayOrNone)
    .option("--from-limit <units>", "a master's subaccounts with a lower limit stay free", input.whole)
    .action((ref: input.AccountRef, given: number[] | input.None, { fromLimit, ...options }: CapOptions) =>
      runWith(cli, options, async (session) => {
        const ramp = input.orNull(given);
        if (ref.kind === "subaccount") return change(session, ref.id, { dailyCapRamp: ramp });
        const cap = ramp === null ? null : { ramp, from_limit: fromLimit };
        const { db, clock } = session;
        const master = await changeMaster(db, operator, ref.id, { newSubaccountDailyCap: cap }, {}, clock);
        return {
          json: masterShape(master),
          text: `${master.name}: new subaccounts start ${ramp === null ? "free" : "capped"}`,
        };
      }),
    );
}

type CapOptions = Options & { fromLimit?: number };

async function change(
  { db, clock, publish }: Session,
  id: SubaccountId,
  patch: Parameters<typeof changeSubaccount>[3],
): Promise<Shown> {
  const changed = await changeSubaccount(db, operator, id, patch, {}, clock);
  await publish(id);
  return shownSubaccount(db, changed, clock);
}

type Given = Parameters<typeof changeCredential>[3]["rateLimits"];

async function changeOfCredential({ db, clock }: Session, id: CredentialId, rateLimits: Given): Promise<Shown> {
  const changed = await changeCredential(db, operator, id, { rateLimits }, clock);
  const text = facts({ id: formatId("cred", id), "user name": changed.username, rate: shownRate(changed.rateLimits) });
  return { json: credentialShape(changed), text };
}

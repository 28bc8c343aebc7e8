/** Accounts made by the verbs themselves, with the principals that act for them. */
import { randomBytes } from "node:crypto";
import type { Master, Subaccount } from "../../src/accounts/account.ts";
import { createMaster, type MasterInput } from "../../src/accounts/create-master.ts";
import { createSubaccount, type SubaccountInput } from "../../src/accounts/create-subaccount.ts";
import type { MasterPrincipal, Operator, SubaccountPrincipal } from "../../src/accounts/principal.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { Db } from "../../src/platform/database.ts";
import type { CredentialId } from "../../src/platform/ids.ts";
import { createKeyring, type Keyring } from "../../src/platform/secrets.ts";

export const operator: Operator = { kind: "operator", via: "key" };

export type TestMaster = Readonly<{ master: Master; principal: MasterPrincipal; key: string }>;
export type TestSubaccount = Readonly<{
  subaccount: Subaccount;
  principal: SubaccountPrincipal;
  credentialId: CredentialId;
  username: string;
  password: string;
}>;

export type Tenants = Readonly<{
  keyring: Keyring;
  master(input?: Partial<MasterInput>): Promise<TestMaster>;
  /** monthlyLimit: 100 unless told. */
  subaccount(of: TestMaster, input?: Partial<SubaccountInput>): Promise<TestSubaccount>;
}>;

export function tenants({ db, clock }: Readonly<{ db: Db; clock: Clock }>): Tenants {
  const keyring = createKeyring(randomBytes(32));
  return {
    keyring,
    async master(input = {}) {
      const given = { name: "Acme Hosting", allowance: null, notificationEmails: ["ops@acme.example"], ...input };
      const { master, apiKey } = await createMaster(db, operator, given, keyring, clock);
      const keyId = apiKey.apiKey.id;
      return { master, key: apiKey.key, principal: { kind: "master", masterId: master.id, keyId, scopes: ["full"] } };
    },
    async subaccount(of, input = {}) {
      const given = { name: "Corner Shop", monthlyLimit: 100, ...input };
      const { subaccount, credential } = await createSubaccount(db, of.principal, given, keyring, clock);
      const { id: subaccountId, masterId } = subaccount;
      return {
        subaccount,
        principal: { kind: "subaccount", masterId, subaccountId, keyId: null, scopes: ["full"] },
        credentialId: credential?.credential.id as CredentialId,
        username: credential?.credential.username ?? "",
        password: credential?.password ?? "",
      };
    },
  };
}

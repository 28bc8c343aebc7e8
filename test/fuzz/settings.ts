/** Values of the configuration: what is accepted works, what is not is refused in a line. */
import { Resolver } from "node:dns";
import fc from "fast-check";
import { expect } from "vitest";
import { networks as trusted } from "../../src/platform/client-address.ts";
import { ConfigError, loadConfig } from "../../src/platform/config.ts";
import { networkList } from "../../src/platform/config-values.ts";
import { type SettingName, settings } from "../../src/platform/settings.ts";
import { createNetworks } from "../../src/submission/proxy.ts";
import { nastyText } from "./texts.ts";

const name = fc.constantFrom(...(Object.keys(settings) as SettingName[]));
const likely = fc.constantFrom(
  "0",
  "1",
  "65535",
  "999999999d",
  "1s,2m",
  "+31d",
  "-999999999d",
  "10.0.0.0/8,::/0",
  "fe80::1%eth0",
  "9.9.9.9,[::1]:0",
  "mx:",
  "never",
  "a@b",
  "postgres://u:p@h/d",
);

/** What the program does with the value at its start. */
function use(value: unknown, of: SettingName): void {
  if (of === "trustedProxies") {
    for (const make of [trusted, networkList, createNetworks]) make(value as string[]);
  } else if (of === "dnsServers") new Resolver().setServers(value as string[]);
  else if (of.endsWith("Ms")) {
    for (const ms of [value].flat() as number[]) expect(() => new Date(Date.now() + ms).toISOString()).not.toThrow();
  } else if (of === "secret") expect([0, 32]).toContain((value as Buffer).length);
  else if (of === "hostname" || of === "systemFrom") expect(value).not.toMatch(/[\s<>\p{Cc}]/u);
}

export const settingProperties = {
  "a setting is accepted and can be used, or refused": fc.property(
    name,
    fc.oneof(nastyText(120), likely),
    (setting, text) => {
      const parsed = settings[setting].schema.safeParse(text);
      if (parsed.success) use(parsed.data, setting);
      else expect(parsed.error.issues[0]?.message).toMatch(/^must be /);
    },
  ),
  "an environment is accepted, or refused line by line without its secrets": fc.property(
    fc.dictionary(
      fc.oneof(
        name.map((one) => settings[one].variable),
        nastyText(20).map((text) => `POSTMETER_${text}`),
      ),
      nastyText(60).map((text) => `planted-${text}`),
    ),
    (env) => {
      try {
        loadConfig(env, "serve");
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        const text = (error as ConfigError).problems.filter((line) => !line.includes("there is no such setting"));
        for (const { variable, secret } of Object.values(settings)) {
          const value = env[variable] ?? "";
          const lines = text.filter((line) => line.startsWith(variable));
          if (secret && value.length > 12) expect(lines.join("\n")).not.toContain(value.trim());
        }
      }
    },
  ),
};

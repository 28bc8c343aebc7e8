/** The text of config/postmeter.env.example: every variable with meaning and default. */
import { defaults } from "./config.ts";
import { type SettingName, settings } from "./settings.ts";

const head = `# Every setting of Postmeter, with its default. An empty value counts as not set.
# Lengths of time carry their unit: s, m, h, d. The same settings have a place in config/default.json (httpPort for
# POSTMETER_HTTP_PORT); a variable wins. An unknown or bad one stops the start with a line that names it.
`;

/** Defaults that the program finds out, or that dev sets otherwise. */
const notes: Partial<Record<SettingName, string>> = {
  authCleartext: "dev: loopback",
  upstreamUrl: "dev: capture:; serve does not start without one",
};

export function exampleFile(): string {
  const values = defaults();
  const entries = Object.entries(settings) as [SettingName, (typeof settings)[SettingName]][];
  const blocks = entries.map(([name, { variable, meaning }]) => {
    const note = notes[name];
    return `# ${meaning}${note === undefined ? "" : ` (${note})`}\n${variable}=${values[name]}\n`;
  });
  return `${head}\n${blocks.join("\n")}`;
}

/** One JSON line per event on standard error. Secrets are redacted by name wherever they stand. */
import { destination, type Logger, pino } from "pino";

export type Log = Logger;

const secrets = ["password", "secret", "key", "token", "authorization", "api_key", "operator_key"];

export function createLog(level: string, stream: NodeJS.WritableStream | number = 2): Log {
  return pino(
    {
      level,
      base: null,
      messageKey: "message",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: "[redacted]" },
    },
    typeof stream === "number" ? destination({ fd: stream, sync: false }) : (stream as never),
  );
}

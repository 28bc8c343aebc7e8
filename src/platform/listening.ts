/** A port that can't be listened on at the start, in words that name the setting and what to do. */
import type { Config } from "./config.ts";
import { settings } from "./settings.ts";

const hostOf = {
  submissionPort: "submissionHost",
  submissionsPort: "submissionHost",
  httpPort: "httpHost",
  metricsPort: "httpHost",
} as const;
type PortName = keyof typeof hostOf;

type ListenError = Error & { code?: string; syscall?: string; address?: string; port?: number; hostname?: string };

/** Undefined: the error is of another kind. */
export function portProblem(error: unknown, config: Config): string | undefined {
  const { code, syscall, address, port, hostname } = error as ListenError;
  if (syscall === "getaddrinfo" && hostname !== undefined) {
    const name = config.submissionHost === hostname ? "submissionHost" : "httpHost";
    return config[name] === hostname ? `${settings[name].variable}=${hostname}: there is no such host` : undefined;
  }
  if (syscall !== "listen" && syscall !== "bind") return undefined;
  const name = (Object.keys(hostOf) as PortName[]).find((one) => config[one] === port) ?? "submissionPort";
  const at = address ?? config[hostOf[name]]; // a worker of several is not told it
  const place = `${settings[name].variable}: ${at}:${port}`;
  if (code === "EADDRINUSE") return `${place} is in use by another program: end that, or set another port`;
  if (code === "EACCES") return `${place}: this user may not listen below port 1024: see docs/operations.md`;
  if (code === "EADDRNOTAVAIL") return `${settings[hostOf[name]].variable}=${at}: this machine has no such address`;
  return undefined;
}

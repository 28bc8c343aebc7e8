/** What the room needs of the house. Functions are called per command or message: they must be cheap. */
import type { SecureContextOptions } from "node:tls";
import type { BrandHosts } from "../branding/hosts.ts";
import type { CertificateFor } from "../branding/sni.ts";
import type { Config } from "../platform/config.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { InDoubt } from "../spool/in-doubt.ts";
import type { AuthDeps } from "./auth.ts";
import type { Limits } from "./limits.ts";
import type { Pacing } from "./pacing.ts";
import type { ReceiveDeps } from "./receive.ts";
import type { RefusalDeps } from "./refusals.ts";
import type { SessionDeps } from "./session.ts";

/** `submissionsPort` 0: no port with implicit TLS; "any": a free one. */
export type SubmissionConfig = Pick<
  Config,
  | "submissionHost"
  | "submissionPort"
  | "authCleartext"
  | "hostname"
  | "maxMessageBytes"
  | "maxRecipients"
  | "trustedProxies"
  | "maxConnectionsPerClient"
> &
  Readonly<{ submissionsPort: Config["submissionsPort"] | "any" }>;

export type SubmissionMetrics = Pick<
  Metrics,
  "accepted" | "acceptedUnits" | "acceptedBytes" | "refused" | "authFailures" | "submissionReplies" | "connections"
>;

export type SubmissionDeps = Readonly<{
  config: SubmissionConfig;
  /** Asked at each connection: another certificate serves from then on. */
  tls: Readonly<{ context(): SecureContextOptions }>;
  /** Names of brands that this server answers to, with their certificates. Left out: none. */
  brands?: BrandHosts & Readonly<{ certificate: CertificateFor }>;
  metrics: SubmissionMetrics;
  limits?: Partial<Limits>;
  inDoubt: Pick<InDoubt, "any" | "recognise" | "note">;
}> &
  Pick<AuthDeps, "authenticate"> &
  Omit<SessionDeps, "maxRecipients" | "gate" | "inDoubt" | "brands"> &
  Omit<ReceiveDeps, "hostname" | "maxMessageBytes" | "metrics" | "memory" | "slabs" | "inDoubt"> &
  Omit<RefusalDeps, "metrics">;

/** What the connections of all listeners share. */
export type HandlerDeps = SubmissionDeps & Pick<ReceiveDeps, "memory" | "slabs"> & Readonly<{ pacing: Pacing }>;

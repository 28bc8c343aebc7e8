/** Every endpoint there is. */
import { capturedEndpoints } from "./captured.ts";
import { credentialEndpoints } from "./credentials.ts";
import type { Deps } from "./deps.ts";
import type { Endpoint } from "./endpoint.ts";
import { eventEndpoints } from "./events.ts";
import { keyEndpoints } from "./keys.ts";
import { masterEndpoints } from "./masters.ts";
import { messageEndpoints } from "./messages.ts";
import { queueEndpoints } from "./queue.ts";
import { statementEndpoints } from "./statements.ts";
import { subaccountEndpoints } from "./subaccounts.ts";
import { usageEndpoints } from "./usage.ts";

const rooms = [
  masterEndpoints,
  subaccountEndpoints,
  credentialEndpoints,
  keyEndpoints,
  usageEndpoints,
  messageEndpoints,
  eventEndpoints,
  statementEndpoints,
  queueEndpoints,
  capturedEndpoints,
];

export function createEndpoints(deps: Deps): Endpoint[] {
  return rooms.flatMap((endpointsOf) => endpointsOf(deps));
}

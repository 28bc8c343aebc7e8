import { createLog } from "../../src/platform/log.ts";

export const silentLog = createLog("silent");

/** The background jobs of a node: what runs when, and which room's function it calls. */
import { syncUsage } from "./accounts/sync-usage.ts";
import { takeNextPlans } from "./accounts/take-next-plan.ts";
import { orderUsage } from "./accounts/usage-order.ts";
import { tellCertificateEnds } from "./alerts/certificate-ends.ts";
import { sendDigests } from "./alerts/digest.ts";
import { notifyAlert } from "./alerts/notify.ts";
import { watchUsage } from "./alerts/watch.ts";
import { forgetRuns, reviveRuns } from "./bulk/forget.ts";
import { runJob } from "./bulk/run.ts";
import { purgeCaptured } from "./delivery/captured.ts";
import { createTxtLookup } from "./domains/lookup.ts";
import { recheckDomains } from "./domains/recheck.ts";
import type { House } from "./house.ts";
import { forgetLetters, settleLetters } from "./letters/outcomes.ts";
import { eraseJob, reviveErasures } from "./lifecycle/erase.ts";
import { tellExpiring } from "./lifecycle/expiring.ts";
import { tellExpiringMasters } from "./lifecycle/masters-expiring.ts";
import { archiveNext } from "./metering/archive.ts";
import { closeDue } from "./metering/close-due.ts";
import { forgetRefusals } from "./metering/forget-refusals.ts";
import { sumDays } from "./metering/sum-days.ts";
import { forgetLinks } from "./people/links.ts";
import { tellLockedOut } from "./people/lockout-letter.ts";
import { sendReset } from "./people/reset.ts";
import { forgetSessions } from "./people/sessions.ts";
import { forgetKeys } from "./platform/idempotency.ts";
import { startJobs, type Tasks } from "./platform/jobs.ts";
import { ensurePartitions } from "./platform/partitions.ts";
import { publishAccount } from "./quota/publish.ts";
import { reconcile } from "./quota/reconcile.ts";
import { mailReview } from "./reviews/letters.ts";
import { expireHeld, purge } from "./spool/purge.ts";

/** minute hour day month weekday, UTC. A run that is late or repeated is harmless. */
const crontab = `
* * * * * reconcile ?max=1
* * * * * statements ?max=1&queue=statements
* * * * * next_plans ?max=1
*/15 * * * * expiring ?max=1
*/10 * * * * purge ?max=1&queue=purge
17 * * * * partitions
*/15 * * * * sum_days ?max=1&queue=sum_days
23 * * * * archive_ledger ?max=1&queue=archive_ledger
*/5 * * * * expire_held ?max=1
* * * * * revive_runs ?max=1
*/30 * * * * recheck_domains
* * * * * letters ?max=1&queue=letters
*/5 * * * * digests ?max=1&queue=digests
*/10 * * * * watch_usage ?max=1&queue=watch_usage
7 * * * * certificate_ends ?max=1
`;

export function startHousekeeping(house: House, publicUrl: string): Promise<AsyncDisposable> {
  const { config, clock, log, metrics, database, gate, keyring } = house;
  const { db } = database;
  const letters = { clock, config: { ...config, publicUrl } };
  const tasks: Tasks = {
    alert: (payload) => notifyAlert(db, payload, { ...letters, keyring }),
    locked_out: (payload) => tellLockedOut(db, payload, letters),
    password_reset: (payload) => sendReset(db, payload, { ...letters, keyring }),
    review_letter: (payload) => mailReview(db, payload, letters),
    digests: async () => void (await sendDigests(db, letters)),
    letters: async () => void (await settleLetters(db, clock)),
    async watch_usage() {
      const watched = await watchUsage(db, clock);
      if (watched.accounts > 0) log.info({ event: "alerts.usage_watched", ...watched });
    },
    sync_usage: (payload) => syncUsage(db, payload),
    usage_order: (payload) => orderUsage(db, payload, clock),
    reconcile: async () => void (await reconcile({ database, gate, metrics, log })),
    async statements(_, signal) {
      const pace = { rest: 4, budgetMs: 50_000, signal };
      const closed = await closeDue(db, { clock, log, graceMs: config.statementGraceMs, ...pace });
      if (closed > 0) log.info({ event: "statements.closed", closed });
    },
    expiring: () => each([() => tellExpiring(db, letters), () => tellExpiringMasters(db, letters)]),
    next_plans: async () => void (await takeNextPlans(db, clock)),
    partitions: async () => void (await ensurePartitions(db)),
    async sum_days() {
      for (const summed of await sumDays(db)) log.info({ event: "ledger.day_summed", ...summed });
    },
    async archive_ledger() {
      const { archiveDir: dir, retentionLedgerMs: retentionMs } = config;
      if (retentionMs === null) return;
      const next = await archiveNext(db, { dir, retentionMs, principal: { kind: "system" }, clock });
      if (next === undefined) return;
      if ("waits" in next) log.info({ event: "ledger.month_waits", month: next.month, waits_for: next.waits });
      else log.info({ event: "ledger.month_archived", month: next.month, entries: next.entries, file: next.file });
    },
    recheck_domains: async () =>
      void (await recheckDomains({ db, clock, log, lookup: createTxtLookup(config.dnsServers) })),
    certificate_ends: async () => void (await tellCertificateEnds(db, { ...letters, log })),
    expire_held: async () => void (await expireHeld(db)),
    bulk_run: (payload) =>
      runJob(db, payload, { ...letters, keyring, log, publish: (id) => publishAccount(db, gate, id) }),
    erase: (payload) => eraseJob(db, payload, clock),
    revive_runs: () => each([() => reviveRuns(db), () => reviveErasures(db)]),
    async purge() {
      const { retentionBodiesMs: bodiesMs, retentionMessagesMs: messagesMs, retentionEventsMs: eventsMs } = config;
      await each([
        async () => log.info({ event: "spool.purged", ...(await purge(db, { bodiesMs, messagesMs, eventsMs })) }),
        () => purgeCaptured(db, messagesMs),
        () => forgetRefusals(db, eventsMs),
        () => forgetKeys(db),
        () => forgetLinks(db, clock),
        () => forgetSessions(db, clock),
        () => forgetRuns(db),
        () => forgetLetters(db, eventsMs),
      ]);
    },
  };
  return startJobs({ database, tasks, crontab, log, metrics });
}

/** Each step is tried; the job fails, and is tried again, if one of them did. */
async function each(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const step of steps) await step().catch((error: unknown) => errors.push(error));
  if (errors.length > 0) throw errors[0];
}

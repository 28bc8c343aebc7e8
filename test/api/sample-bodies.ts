/** A valid body for each route that needs one. */
export const sampleBodies: Readonly<Record<string, Record<string, unknown>>> = {
  "POST /v1/masters": { name: "New Hosting", allowance: 10, notification_emails: ["ops@new.example"] },
  "PATCH /v1/masters/{id}": { name: "Renamed" },
  "PATCH /v1/account": {},
  "POST /v1/subaccounts": { name: "New shop", monthly_limit: 5 },
  "PATCH /v1/subaccounts/{id}": { monthly_limit: 6 },
  "POST /v1/subaccounts/{id}/top_ups": { units: 5 },
  "POST /v1/domains": { name: "new.example" },
  "POST /v1/subaccounts/{id}/domains": { name: "new.example" },
  "POST /v1/domains/{id}/grants": { all: true },
  "POST /v1/subaccounts/bulk": { filter: { q: "nothing like that" }, change: { plan: "x" }, dry_run: true },
  "POST /v1/reviews": { subaccount_id: "sub_01kb2m5xj7e1fr0x4m4f6a0z3q", question: "Why?" },
  "POST /v1/reviews/{id}/answer": { answer: "Because." },
  "POST /v1/reviews/{id}/close": { decision: "release" },
  "POST /v1/views": { name: "new view" },
  "PATCH /v1/views/{id}": { name: "Renamed" },
  "POST /v1/keys": { name: "new key", scopes: ["read"] },
};

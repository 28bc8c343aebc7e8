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
  "POST /v1/plans": { name: "New plan", monthly_limit: 5 },
  "PATCH /v1/plans/{id}": { monthly_limit: 6 },
  "POST /v1/templates": { name: "New template" },
  "PATCH /v1/templates/{id}": { name: "Renamed template" },
  "POST /v1/subaccounts/{id}/plan": { plan: "OURS plan", when: "now" },
  "POST /v1/keys": { name: "new key", scopes: ["read"] },
};

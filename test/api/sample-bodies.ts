/** In form only: no rule takes it. */
const pair = {
  certificate: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
  private_key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
};

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
  "PATCH /v1/branding": { product_name: "Renamed Mail" },
  "PUT /v1/branding/certificate": pair,
  "PATCH /v1/subaccounts/{id}/branding": { product_name: "Renamed Mail" },
  "PUT /v1/subaccounts/{id}/branding/certificate": pair,
  "POST /v1/keys": { name: "new key", scopes: ["read"] },
  "POST /v1/keys/{id}/rotate": { overlap_seconds: 600 },
  "POST /v1/members": { email: "new@people.example", role: "viewer" },
  "PATCH /v1/members/{id}": { role: "viewer" },
  "PATCH /v1/me": {},
  "POST /v1/me/password": { current_password: "one of before", password: "a new and long one" },
  "POST /v1/me/second_factor": {},
  "POST /v1/me/second_factor/confirm": { code: "123456" },
  "DELETE /v1/me/second_factor": { code: "123456" },
  "POST /v1/subaccounts/{id}/log_in_as": { reason: "to look" },
  "POST /v1/masters/{id}/log_in_as": { reason: "to look" },
};

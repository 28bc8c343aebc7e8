/** Who hears of an alert: by the rule's topic, the notification e-mails and the contact policy. */
import { type Contacts, contactsOf } from "../letters/contacts.ts";
import type { AlertContext } from "./read-alerts.ts";

export function contactsOfAlert({ alert, account, rule }: AlertContext): Contacts[] {
  const master = {
    notificationEmails: account.masterEmails,
    contactPolicy: account.policy,
    language: account.masterLanguage,
    timeZone: account.masterZone,
  };
  const isMaster = alert.account_id === alert.master_id;
  const subaccount = isMaster ? null : { ...account, notificationEmails: account.subaccountEmails };
  return contactsOf(rule.topic, master, subaccount);
}

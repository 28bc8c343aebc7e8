/** `postmeter member`: the people of an account, also its first owner, and the operator's own. */
import { type Command, Option } from "commander";
import { actFor } from "../accounts/act-for.ts";
import { findSubaccount } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import { unlock } from "../accounts/unlock.ts";
import { inviteMember, resendInvitation } from "../people/invite.ts";
import { changeRole, findMember, listMembers, type Member, removeMember } from "../people/members.ts";
import { type Role, roles } from "../people/roles.ts";
import { formatId, type MemberId, type SubaccountId } from "../platform/ids.ts";
import * as input from "./input.ts";
import { table } from "./layout.ts";
import { operator, type Session } from "./session.ts";
import { page } from "./shape.ts";
import { type Cli, group, type Options, runWith, verb } from "./verb.ts";

const aMaster = "mas_01kb2m5xj7e1fr0x4m4f6a0z3q";
const aMember = "mem_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addMemberCommands(program: Command, cli: Cli): void {
  const member = group(program, "member", "people of masters and subaccounts, and your own");
  addList(member, cli);
  addInvite(member, cli);
  addById(member, cli);
  verb(member, "unlock", "end all locks of a subaccount's log-ins, on every node", [
    "member unlock sub_01kb2m5xj7e1fr0x4m4f6a0z3q",
  ])
    .argument("<subaccount>", "sub_...", input.idOf("sub"))
    .action((id: SubaccountId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        const subaccount = await findSubaccount(db, operator, id, clock);
        const unlocked = await unlock(db, operator, subaccount, clock);
        return { json: { unlocked }, text: `${unlocked} log-in(s) unlocked.` };
      }),
    );
}

const whose = "mas_... or sub_...; left out: your own, the operator's";

async function principalOf({ db, clock }: Session, ref: input.AccountRef | undefined): Promise<Principal> {
  return ref === undefined ? operator : actFor(db, operator, input.showAccount(ref), clock);
}

/** Letters of this command lie in the queue like others; a node sends them. */
const lettersOf = ({ clock, config, keyring }: Session) => ({ clock, config, keyring: keyring() });

function addList(member: Command, cli: Cli): void {
  verb(member, "list", "members and those who are invited", [`member list ${aMaster}`])
    .argument("[account]", whose, input.account)
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action((ref: input.AccountRef | undefined, { limit, ...options }: Options & { limit: number }) =>
      runWith(cli, options, async (session) => {
        const principal = await principalOf(session, ref);
        const { items, more } = page(await listMembers(session.db, principal, { limit }), limit);
        const rows = items.map((one) => [
          formatId("mem", one.memberId),
          one.email,
          one.role,
          one.acceptedAt === null ? "invited" : "active",
          one.secondFactor && one.acceptedAt !== null ? "yes" : "no",
        ]);
        return {
          json: { data: items.map(memberShape), has_more: more },
          text: table(["id", "e-mail", "role", "state", "second factor"], rows, "There is no member."),
        };
      }),
    );
}

type InviteOptions = Options & { email: string; role: Role };

function addInvite(member: Command, cli: Cli): void {
  verb(member, "invite", "somebody by mail: a link of 24 hours", [
    `member invite ${aMaster} --email ann@acme.example --role owner`,
    "member invite --email me@relay.example --role owner",
  ])
    .argument("[account]", whose, input.account)
    .requiredOption("--email <address>", "where the link goes")
    .addOption(new Option("--role <role>", "what he may do").choices(roles).default("owner"))
    .action((ref: input.AccountRef | undefined, { email, role, ...options }: InviteOptions) =>
      runWith(cli, options, async (session) => {
        const principal = await principalOf(session, ref);
        const invited = await inviteMember(session.db, principal, { email, role }, lettersOf(session));
        const id = formatId("mem", invited.memberId);
        return { json: memberShape(invited), text: `${id}: ${email} is invited as ${role}.` };
      }),
    );
}

function addById(member: Command, cli: Cli): void {
  verb(member, "resend", "the invitation again; the link before it is void", [`member resend ${aMember}`])
    .argument("<id>", "mem_...", input.idOf("mem"))
    .action((id: MemberId, options: Options) =>
      runWith(cli, options, async (session) => {
        const again = await resendInvitation(session.db, operator, id, lettersOf(session));
        return { json: memberShape(again), text: `${again.email} was sent another link.` };
      }),
    );
  verb(member, "change", "give another role", [`member change ${aMember} --role admin`])
    .argument("<id>", "mem_...", input.idOf("mem"))
    .addOption(new Option("--role <role>", "what he may do").choices(roles).makeOptionMandatory())
    .action((id: MemberId, { role, ...options }: Options & { role: Role }) =>
      runWith(cli, options, async ({ db, clock }) => {
        const changed = await changeRole(db, operator, id, role, clock);
        return { json: memberShape(changed), text: `${changed.email} is ${role}.` };
      }),
    );
  verb(member, "remove", "he is logged out everywhere", [`member remove ${aMember}`])
    .argument("<id>", "mem_...", input.idOf("mem"))
    .action((id: MemberId, options: Options) =>
      runWith(cli, options, async ({ db, clock }) => {
        const gone = await findMember(db, operator, id);
        await removeMember(db, operator, id, clock);
        return { json: memberShape(gone), text: `${gone.email} is no member any more.` };
      }),
    );
}

function memberShape(member: Member) {
  return {
    id: formatId("mem", member.memberId),
    email: member.email,
    role: member.role,
    state: member.acceptedAt === null ? "invited" : "active",
    invited_at: member.invitedAt.toISOString(),
    accepted_at: member.acceptedAt?.toISOString() ?? null,
  };
}

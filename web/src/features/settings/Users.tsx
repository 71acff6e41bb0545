import { NativeSelect, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { calls } from "../../api/calls";
import { queries, useSession } from "../../api/queries";
import type { Role, User } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { Muted } from "../../ui/Facts";
import { Cell, type Column } from "../../ui/Table";
import { Ago } from "../../ui/Time";
import { Act, Issued } from "./Issued";

const words = strings.settings;
const KEY = "users";
const NAMES: Record<Role, string> = words.roles;
const ROLES = Object.keys(NAMES) as Role[];
const CHOICES = ROLES.map((value) => ({ value, label: NAMES[value] }));
const COLUMNS: Column[] = [
  { name: words.userColumns.name },
  { name: words.userColumns.role },
  { name: words.userColumns.created, number: true, wideOnly: true },
  { name: words.userColumns.state },
  { name: words.userColumns.act, hidden: true },
];

async function create(form: FormData) {
  const role = ROLES.find((each) => each === form.get("role")) ?? "viewer";
  const made = await calls.createUser(String(form.get("name")), role);
  return { title: words.createdUser(made.user.name), secret: made.secret };
}

/** Who may sign in and as what; a secret is shown once. For admins. */
export function Users() {
  const users = useQuery(queries.users());
  return (
    <Issued
      title={words.users}
      hint={words.usersHint}
      columns={COLUMNS}
      query={{ ...users, data: users.data?.items }}
      queryKey={KEY}
      empty=""
      row={(user) => <UserRow key={user.id} user={user} />}
      create={create}
      submit={words.createUser}
    >
      <TextInput
        name="name"
        label={words.userName}
        required
        withAsterisk={false}
        maxLength={200}
        autoComplete="off"
      />
      <NativeSelect name="role" label={words.role} data={CHOICES} />
    </Issued>
  );
}

function UserRow({ user }: { user: User }) {
  const self = useSession().user.id === user.id;
  return (
    <tr>
      <Cell>
        {user.name} {self ? <Muted>{words.you}</Muted> : null}
      </Cell>
      <Cell>{NAMES[user.role]}</Cell>
      <Cell number wideOnly>
        <Ago time={user.created} />
      </Cell>
      <Cell>
        <Badge
          value={user.disabled ? "rejected" : "ok"}
          label={user.disabled ? words.disabled : words.active}
          plain
        />
      </Cell>
      <Cell number>
        {self ? null : (
          <Act
            act={user.disabled ? words.enable : words.disable}
            name={user.name}
            run={() => calls.changeUser(user.id, { disabled: !user.disabled })}
            queryKey={KEY}
          />
        )}
      </Cell>
    </tr>
  );
}

import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { calls } from "../../api/calls";
import { queries, useSession } from "../../api/queries";
import type { Role, User } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { Muted } from "../../ui/Facts";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago } from "../../ui/Time";
import { Secret } from "./Secret";
import css from "./Settings.module.css";

const words = strings.settings;
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

/** Who may sign in and as what; a secret is shown once. For admins. */
export function Users() {
  const users = useQuery(queries.users());
  return (
    <Panel title={words.users} hint={words.usersHint} flush>
      {users.isPending ? <Loading rows={3} /> : null}
      {users.isError ? <Problem error={users.error} /> : null}
      {users.data ? (
        <Table label={words.users} columns={COLUMNS}>
          {users.data.items.map((user) => (
            <UserRow key={user.id} user={user} />
          ))}
        </Table>
      ) : null}
      <NewUser />
    </Panel>
  );
}

function useRenewUsers() {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: ["users"] });
}

function UserRow({ user }: { user: User }) {
  const session = useSession();
  const renew = useRenewUsers();
  const change = useMutation({
    mutationFn: (disabled: boolean) => calls.changeUser(user.id, { disabled }),
    onSettled: renew,
  });
  const act = user.disabled ? words.enable : words.disable;
  return (
    <tr>
      <Cell>
        {user.name} {user.id === session.user.id ? <Muted>{words.you}</Muted> : null}
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
        {user.id === session.user.id ? null : (
          <Button
            variant="subtle"
            loading={change.isPending}
            aria-label={`${act} ${user.name}`}
            onClick={() => change.mutate(!user.disabled)}
          >
            {act}
          </Button>
        )}
        {change.isError ? <Problem error={change.error} /> : null}
      </Cell>
    </tr>
  );
}

function NewUser() {
  const renew = useRenewUsers();
  const create = useMutation({
    mutationFn: ({ name, role }: { name: string; role: Role }) => calls.createUser(name, role),
    onSettled: renew,
  });
  return (
    <>
      {create.data ? (
        <Secret title={words.createdUser(create.data.user.name)} secret={create.data.secret} />
      ) : null}
      {create.isError ? <Problem error={create.error} /> : null}
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          const fields = new FormData(form);
          const role = ROLES.find((each) => each === fields.get("role")) ?? "viewer";
          create.mutate({ name: String(fields.get("name")), role }, { onSuccess: () => form.reset() });
        }}
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
        <Button type="submit" loading={create.isPending}>
          {words.createUser}
        </Button>
      </form>
    </>
  );
}

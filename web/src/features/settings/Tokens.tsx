import { Button, Checkbox, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { calls } from "../../api/calls";
import { queries } from "../../api/queries";
import type { Token } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago } from "../../ui/Time";
import { Secret } from "./Secret";
import css from "./Settings.module.css";

const words = strings.settings;
const SCOPES = ["telemetry:send", "read", "incident:respond", "model:infer"];
const COLUMNS: Column[] = [
  { name: words.columns.name },
  { name: words.columns.scopes },
  { name: words.columns.created, number: true, wideOnly: true },
  { name: words.columns.state },
  { name: words.columns.act, hidden: true },
];

/** Tokens for senders and scripts; a secret is shown once. */
export function Tokens() {
  const tokens = useQuery(queries.tokens());
  const items = tokens.data?.items.filter((token) => token.kind !== "session") ?? [];
  return (
    <Panel title={words.tokens} hint={words.tokensHint} flush>
      {tokens.isPending ? <Loading rows={3} /> : null}
      {tokens.isError ? <Problem error={tokens.error} /> : null}
      {tokens.isSuccess && items.length === 0 ? <p className={css.empty}>{words.noTokens}</p> : null}
      {items.length > 0 ? (
        <Table label={words.tokens} columns={COLUMNS}>
          {items.map((token) => (
            <TokenRow key={token.id} token={token} />
          ))}
        </Table>
      ) : null}
      <NewToken />
    </Panel>
  );
}

function useRenewTokens() {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: ["tokens"] });
}

function TokenRow({ token }: { token: Token }) {
  const renew = useRenewTokens();
  const revoke = useMutation({ mutationFn: () => calls.revokeToken(token.id), onSettled: renew });
  return (
    <tr>
      <Cell>{token.name}</Cell>
      <Cell>
        <code>{token.scopes.join(" ")}</code>
      </Cell>
      <Cell number wideOnly>
        <Ago time={token.created} />
      </Cell>
      <Cell>
        <Badge
          value={token.revoked ? "rejected" : "ok"}
          label={token.revoked ? words.revoked : words.valid}
          plain
        />
      </Cell>
      <Cell number>
        {token.revoked ? null : (
          <Button
            variant="subtle"
            loading={revoke.isPending}
            aria-label={`${words.revoke} ${token.name}`}
            onClick={() => revoke.mutate()}
          >
            {words.revoke}
          </Button>
        )}
        {revoke.isError ? <Problem error={revoke.error} /> : null}
      </Cell>
    </tr>
  );
}

function NewToken() {
  const renew = useRenewTokens();
  const create = useMutation({
    mutationFn: (form: FormData) =>
      calls.createToken(String(form.get("name")), form.getAll("scope").map(String)),
    onSettled: renew,
  });
  return (
    <>
      {create.data ? (
        <Secret title={words.created(create.data.token.name)} secret={create.data.secret} />
      ) : null}
      {create.isError ? <Problem error={create.error} /> : null}
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          create.mutate(new FormData(form), { onSuccess: () => form.reset() });
        }}
      >
        <TextInput name="name" label={words.tokenName} required withAsterisk={false} autoComplete="off" />
        <div className={css.scopes}>
          {SCOPES.map((scope, index) => (
            <Checkbox
              key={scope}
              size="xs"
              name="scope"
              value={scope}
              label={scope}
              defaultChecked={index === 0}
            />
          ))}
        </div>
        <Button type="submit" loading={create.isPending}>
          {words.create}
        </Button>
      </form>
    </>
  );
}

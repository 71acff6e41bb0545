import { Checkbox, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { calls } from "../../api/calls";
import { queries } from "../../api/queries";
import type { Token } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { Cell, type Column } from "../../ui/Table";
import { Ago } from "../../ui/Time";
import { Act, Issued } from "./Issued";
import css from "./Settings.module.css";

const words = strings.settings;
const KEY = "tokens";
const SCOPES = ["telemetry:send", "read", "incident:respond", "model:infer"];
const COLUMNS: Column[] = [
  { name: words.columns.name },
  { name: words.columns.scopes },
  { name: words.columns.created, number: true, wideOnly: true },
  { name: words.columns.state },
  { name: words.columns.act, hidden: true },
];

async function create(form: FormData) {
  const made = await calls.createToken(String(form.get("name")), form.getAll("scope").map(String));
  return { title: words.created(made.token.name), secret: made.secret };
}

/** Tokens for senders and scripts; a secret is shown once. */
export function Tokens() {
  const tokens = useQuery(queries.tokens());
  return (
    <Issued
      title={words.tokens}
      hint={words.tokensHint}
      columns={COLUMNS}
      query={{ ...tokens, data: tokens.data?.items.filter((token) => token.kind !== "session") }}
      queryKey={KEY}
      empty={words.noTokens}
      row={(token) => <TokenRow key={token.id} token={token} />}
      create={create}
      submit={words.create}
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
    </Issued>
  );
}

function TokenRow({ token }: { token: Token }) {
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
          <Act act={words.revoke} name={token.name} run={() => calls.revokeToken(token.id)} queryKey={KEY} />
        )}
      </Cell>
    </tr>
  );
}

import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { type Column, Table } from "../../ui/Table";
import { Secret } from "./Secret";
import css from "./Settings.module.css";

interface IssuedProps<Item> {
  title: string;
  hint: string;
  columns: Column[];
  /** The list as it was asked for; its key is renewed after a change. */
  query: { data: readonly Item[] | undefined; error: Error | null; isPending: boolean };
  queryKey: string;
  empty: string;
  row: (item: Item) => ReactNode;
  /** Makes one from the form's fields; its secret is shown once. */
  create: (form: FormData) => Promise<{ title: string; secret: string }>;
  submit: string;
  /** Fields of the form. */
  children: ReactNode;
}

/** Things with a secret: a list, and a form that makes one and shows its secret once. */
export function Issued<Item>(props: IssuedProps<Item>) {
  const { data, error, isPending } = props.query;
  return (
    <Panel title={props.title} hint={props.hint} flush>
      {isPending ? <Loading rows={3} /> : null}
      {error ? <Problem error={error} /> : null}
      {data?.length === 0 ? <p className={css.empty}>{props.empty}</p> : null}
      {data && data.length > 0 ? (
        <Table label={props.title} columns={props.columns}>
          {data.map(props.row)}
        </Table>
      ) : null}
      <NewOne {...props} />
    </Panel>
  );
}

function useRenew(key: string) {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: [key] });
}

function NewOne<Item>({ queryKey, create, submit, children }: IssuedProps<Item>) {
  const making = useMutation({ mutationFn: create, onSettled: useRenew(queryKey) });
  return (
    <>
      {making.data ? <Secret title={making.data.title} secret={making.data.secret} /> : null}
      {making.isError ? <Problem error={making.error} /> : null}
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          making.mutate(new FormData(form), { onSuccess: () => form.reset() });
        }}
      >
        {children}
        <Button type="submit" loading={making.isPending}>
          {submit}
        </Button>
      </form>
    </>
  );
}

interface ActProps {
  act: string;
  name: string;
  run: () => Promise<unknown>;
  queryKey: string;
}

/** The one thing that can be done to a row. */
export function Act({ act, name, run, queryKey }: ActProps) {
  const acting = useMutation({ mutationFn: run, onSettled: useRenew(queryKey) });
  return (
    <>
      <Button
        variant="subtle"
        loading={acting.isPending}
        aria-label={`${act} ${name}`}
        onClick={() => acting.mutate()}
      >
        {act}
      </Button>
      {acting.isError ? <Problem error={acting.error} /> : null}
    </>
  );
}

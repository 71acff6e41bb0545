import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { calls } from "../../api/calls";
import { queries } from "../../api/queries";
import { strings } from "../../strings";
import { Logo } from "../../ui/Logo";
import { Problem } from "../../ui/Notice";
import css from "./LoginPage.module.css";
import { safeNext } from "./next";

const route = getRouteApi("/login");

/** Sign in by name and secret. The server sets the session's cookie; nothing is kept in the page. */
export function LoginPage() {
  const { next } = route.useSearch();
  const router = useRouter();
  const client = useQueryClient();
  const signIn = useMutation({
    mutationFn: ({ name, secret }: { name: string; secret: string }) => calls.signIn(name, secret),
    onSuccess: (session) => {
      client.setQueryData(queries.session().queryKey, session);
      router.history.push(safeNext(next));
    },
  });
  const submit = (form: FormData) =>
    signIn.mutate({ name: String(form.get("name") ?? ""), secret: String(form.get("secret") ?? "") });
  return (
    <main className={css.page}>
      <div className={css.card}>
        <div className={css.brand}>
          <Logo size={36} />
          <div>
            <h1>{strings.product}</h1>
            <div className={css.tagline}>{strings.login.tagline}</div>
          </div>
        </div>
        <form
          className={css.form}
          aria-label={strings.login.title}
          onSubmit={(event) => {
            event.preventDefault();
            submit(new FormData(event.currentTarget));
          }}
        >
          <TextInput
            name="name"
            label={strings.login.name}
            size="sm"
            defaultValue="admin"
            autoComplete="username"
            required
            withAsterisk={false}
          />
          <PasswordInput
            name="secret"
            label={strings.login.secret}
            autoComplete="current-password"
            autoFocus
            required
            withAsterisk={false}
          />
          {signIn.isError ? <Problem error={signIn.error} /> : null}
          <Button type="submit" size="sm" loading={signIn.isPending}>
            {strings.login.submit}
          </Button>
        </form>
        <p className={css.hint}>{strings.login.hint}</p>
      </div>
    </main>
  );
}

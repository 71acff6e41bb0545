import { NativeSelect, TextInput } from "@mantine/core";
import { useDebouncedCallback, useHotkeys } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { getRouteApi } from "@tanstack/react-router";
import { useRef } from "react";
import { strings } from "../../strings";
import css from "./Logs.module.css";

const route = getRouteApi("/signed-in/logs");
const words = strings.templates;
const ORDERS = Object.entries(words.orders).map(([value, label]) => ({ value, label }));

const SEVERITIES = [
  { value: "", label: words.anySeverity },
  { value: "only", label: words.errors },
];

/** The question and its facets; their only state is the address. */
export function Ask({ byModel }: { byModel: boolean }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const form = useRef<HTMLFormElement>(null);
  useHotkeys([["/", () => form.current?.querySelector("input")?.focus()]]);
  const set = (name: string, value: string) =>
    void navigate({
      search: (before) => ({ ...before, template: undefined, [name]: value || undefined }),
      replace: true,
    });
  const setSoon = useDebouncedCallback(set, 300);
  const ways = [
    { value: "", label: byModel ? words.meaningModel : words.meaning },
    { value: "text", label: words.text },
  ];
  return (
    <search>
      <form
        ref={form}
        className={css.ask}
        aria-label={words.form}
        onSubmit={(event) => event.preventDefault()}
      >
        <TextInput
          className={css.question ?? ""}
          aria-label={search.by === "text" ? words.part : words.ask}
          placeholder={search.by === "text" ? words.part : words.ask}
          leftSection={<IconSearch size={14} />}
          defaultValue={search.q ?? ""}
          onChange={(event) => setSoon("q", event.currentTarget.value.trim())}
        />
        <NativeSelect
          className={css.by ?? ""}
          aria-label={words.by}
          data={ways}
          value={search.by ?? ""}
          onChange={(event) => set("by", event.currentTarget.value)}
        />
        <TextInput
          className={css.small ?? ""}
          aria-label={words.entity}
          placeholder={words.entity}
          defaultValue={search.entity ?? ""}
          onBlur={(event) => set("entity", event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") set("entity", event.currentTarget.value);
          }}
        />
        {search.q === undefined || search.by === "text" ? (
          <NativeSelect
            className={css.small ?? ""}
            aria-label={words.order}
            data={ORDERS}
            value={search.order ?? "lines"}
            onChange={(event) =>
              set("order", event.currentTarget.value === "lines" ? "" : event.currentTarget.value)
            }
          />
        ) : null}
        <NativeSelect
          className={css.small ?? ""}
          aria-label={words.columns.severity}
          data={SEVERITIES}
          value={search.errors ?? ""}
          onChange={(event) => set("errors", event.currentTarget.value)}
        />
      </form>
    </search>
  );
}

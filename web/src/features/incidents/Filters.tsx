import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useDebouncedCallback, useHotkeys } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { getRouteApi } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { strings } from "../../strings";
import css from "./Incidents.module.css";

const route = getRouteApi("/signed-in/incidents");
const words = strings.incidents;
const any = { value: "", label: words.any };
const STATES = [any, ...(["open", "acknowledged", "resolved"] as const).map(choice)];
const SEVERITIES = [any, ...(["critical", "warning", "info"] as const).map(choice)];
const PAST = [
  { value: "", label: words.backfilledAny },
  { value: "none", label: words.liveOnly },
  { value: "only", label: words.backfilledOnly },
];

function choice(value: keyof typeof strings.states) {
  return { value, label: strings.states[value] };
}

/** The facets of the list. Their only state is the address, so a filtered list can be sent to a colleague. */
export function Filters() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const form = useRef<HTMLFormElement>(null);
  // Text fields keep what is being typed; a new key empties them.
  const [clears, setClears] = useState(0);
  useHotkeys([["/", () => form.current?.querySelector("input")?.focus()]]);
  const set = (name: string, value: string) =>
    void navigate({ search: (before) => ({ ...before, [name]: value || undefined }), replace: true });
  const setSoon = useDebouncedCallback(set, 250);
  const clear = () => {
    setClears(clears + 1);
    void navigate({ search: {} });
  };
  const filtered = Object.values(search).some((value) => value !== undefined);
  return (
    <search>
      <form
        ref={form}
        className={css.filters}
        aria-label={words.filter}
        onSubmit={(event) => event.preventDefault()}
      >
        <TextInput
          key={`text-${clears}`}
          className={css.search ?? ""}
          aria-label={words.search}
          placeholder={words.search}
          leftSection={<IconSearch size={14} />}
          defaultValue={search.q ?? ""}
          onChange={(event) => setSoon("q", event.currentTarget.value)}
        />
        <TextInput
          key={`entity-${clears}`}
          className={css.select ?? ""}
          aria-label={words.entity}
          placeholder={words.entity}
          defaultValue={search.entity ?? ""}
          onBlur={(event) => set("entity", event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") set("entity", event.currentTarget.value);
          }}
        />
        <NativeSelect
          className={css.select ?? ""}
          aria-label={words.state}
          data={labelled(words.state, STATES)}
          value={search.state ?? ""}
          onChange={(event) => set("state", event.currentTarget.value)}
        />
        <NativeSelect
          className={css.select ?? ""}
          aria-label={words.severity}
          data={labelled(words.severity, SEVERITIES)}
          value={search.severity ?? ""}
          onChange={(event) => set("severity", event.currentTarget.value)}
        />
        <NativeSelect
          className={css.select ?? ""}
          aria-label={words.backfilled}
          data={PAST}
          value={search.past ?? ""}
          onChange={(event) => set("past", event.currentTarget.value)}
        />
        {filtered ? (
          <Button variant="subtle" onClick={clear}>
            {words.clear}
          </Button>
        ) : null}
      </form>
    </search>
  );
}

/** A closed select shows what it filters: `State: Any`. */
function labelled(name: string, choices: readonly { value: string; label: string }[]) {
  return choices.map((each) => (each.value === "" ? { ...each, label: `${name}: ${each.label}` } : each));
}

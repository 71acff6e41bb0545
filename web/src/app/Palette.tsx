import { createSpotlight, Spotlight, type SpotlightActionGroupData } from "@mantine/spotlight";
import "@mantine/spotlight/styles.css";
import { IconSearch } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { queries } from "../api/queries";
import { strings } from "../strings";
import { formatMoment } from "../ui/format";

const [store, palette] = createSpotlight();

/** Open it; it may be mounted before or after. */
export const openPalette = palette.open;

/** Jump to any page, incident or model by a few letters. */
export default function Palette() {
  const navigate = useNavigate();
  const incidents = useInfiniteQuery(queries.incidents({})).data?.pages.flatMap((page) => page.items) ?? [];
  const models = useQuery(queries.models()).data?.items ?? [];
  const demo = useQuery(queries.demo()).data?.available ?? false;
  const page = (
    to: "/" | "/incidents" | "/logs" | "/events" | "/models" | "/demo" | "/settings",
    label: string,
  ) => ({
    id: to,
    label,
    onClick: () => void navigate({ to }),
  });
  const groups: SpotlightActionGroupData[] = [
    {
      group: strings.palette.pages,
      actions: [
        page("/", strings.nav.home),
        page("/incidents", strings.nav.incidents),
        page("/logs", strings.nav.logs),
        page("/events", strings.nav.events),
        page("/models", strings.nav.models),
        ...(demo ? [page("/demo", strings.nav.demo)] : []),
        page("/settings", strings.nav.settings),
      ],
    },
    {
      group: strings.palette.incidents,
      actions: incidents.map((incident) => ({
        id: `incident ${incident.id}`,
        label: incident.title,
        description: `${strings.states[incident.state]} · ${formatMoment(incident.start)} · ${incident.entities.join(", ")}`,
        onClick: () => void navigate({ to: "/incidents/$id", params: { id: incident.id } }),
      })),
    },
    {
      group: strings.palette.models,
      actions: models.map((model) => ({
        id: `model ${model.model}`,
        label: model.model,
        description: strings.models.version(model.live_version),
        onClick: () => void navigate({ to: "/models/$name", params: { name: model.model } }),
      })),
    },
  ];
  return (
    <Spotlight
      actions={groups}
      store={store}
      shortcut={null}
      nothingFound={strings.palette.nothing}
      overlayProps={{ backgroundOpacity: 0.35, blur: 0 }}
      limit={12}
      scrollable
      maxHeight={420}
      searchProps={{
        placeholder: strings.palette.placeholder,
        "aria-label": strings.palette.placeholder,
        leftSection: <IconSearch size={16} />,
      }}
    />
  );
}

import {
  IconBox,
  IconBrain,
  IconDatabase,
  IconListDetails,
  IconRepeat,
  IconServer,
  IconStack2,
  IconTable,
  IconVariable,
} from "@tabler/icons-react";
import css from "./Entity.module.css";

const ICONS = {
  service: IconBox,
  host: IconServer,
  pod: IconStack2,
  database: IconDatabase,
  queue: IconListDetails,
  job: IconRepeat,
  model: IconBrain,
  feature: IconVariable,
  dataset: IconTable,
} as const;

/** `kind:name` in its two parts. */
export function splitEntity(id: string): { kind: string; name: string } {
  const colon = id.indexOf(":");
  return colon < 0 ? { kind: "", name: id } : { kind: id.slice(0, colon), name: id.slice(colon + 1) };
}

/** The icon of a kind of entity. */
export function EntityIcon({ kind, size = 14 }: { kind: string; size?: number }) {
  const Icon = kind in ICONS ? ICONS[kind as keyof typeof ICONS] : IconBox;
  return <Icon size={size} stroke={1.8} aria-hidden />;
}

/** An entity by kind and name. */
export function EntityName({ id, showKind = false }: { id: string; showKind?: boolean }) {
  const { kind, name } = splitEntity(id);
  return (
    <span className={css.entity} title={id}>
      <EntityIcon kind={kind} />
      <span>
        {name}
        {showKind ? (
          <span className={css.kind}> {kind}</span>
        ) : (
          <span className="visually-hidden"> {kind}</span>
        )}
      </span>
    </span>
  );
}

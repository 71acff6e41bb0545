import {
  IconAdjustments,
  IconArrowUpCircle,
  IconDatabaseImport,
  IconFlag,
  IconPackage,
  IconPencil,
  IconRotate2,
  IconSchema,
} from "@tabler/icons-react";

const ICONS = {
  deploy: IconPackage,
  config: IconAdjustments,
  flag: IconFlag,
  promotion: IconArrowUpCircle,
  rollback: IconRotate2,
  data_version: IconDatabaseImport,
  schema: IconSchema,
} as const;

/** The icon of a kind of change, with its word for those who cannot see it. */
export function ChangeIcon({ change, size = 14 }: { change: string | null; size?: number }) {
  const Icon = change !== null && change in ICONS ? ICONS[change as keyof typeof ICONS] : IconPencil;
  return (
    <>
      <Icon size={size} stroke={1.8} style={{ verticalAlign: -2 }} aria-hidden />
      <span className="visually-hidden">{change?.replaceAll("_", " ")}</span>
    </>
  );
}

import { Button, Skeleton } from "@mantine/core";
import { IconAlertCircle } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { ProblemError } from "../api/request";
import { strings } from "../strings";
import css from "./Notice.module.css";

/** What went wrong, in the server's own words, with a way to try again. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const title = error instanceof ProblemError ? error.title : strings.problem.unreachable;
  const detail = error instanceof ProblemError ? error.detail : error instanceof Error ? error.message : "";
  return (
    <div className={`${css.notice} ${css.problem}`} role="alert">
      <IconAlertCircle size={17} aria-hidden />
      <div>
        <div className={css.title}>{title}</div>
        {detail && detail !== title ? <div className={css.detail}>{detail}</div> : null}
      </div>
      {retry ? (
        <Button className={css.retry ?? ""} variant="default" onClick={retry}>
          {strings.problem.retry}
        </Button>
      ) : null}
    </div>
  );
}

/** Nothing here, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={css.empty}>
      <div className={css.title}>{title}</div>
      {children ? <div>{children}</div> : null}
    </div>
  );
}

/** Grey rows in the shape of what is coming. */
export function Loading({ rows = 4, height = 18 }: { rows?: number; height?: number }) {
  return (
    <div role="status" aria-label={strings.loading} style={{ display: "grid", gap: 10, padding: 14 }}>
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: equal rows that never move
        <Skeleton key={row} height={height} width={`${96 - ((row * 17) % 38)}%`} />
      ))}
    </div>
  );
}

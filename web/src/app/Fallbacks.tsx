import { Link } from "@tanstack/react-router";
import { strings } from "../strings";
import { Empty, Problem } from "../ui/Notice";

/** Shown for an address that leads nowhere. */
export function NotFound() {
  return (
    <Empty title={strings.notFound.title}>
      <Link to="/">{strings.notFound.home}</Link>
    </Empty>
  );
}

/** Shown when a page cannot even be started. */
export function RouteProblem({ error, reset }: { error: unknown; reset: () => void }) {
  return (
    <main style={{ padding: 24, maxWidth: 720 }}>
      <Problem error={error} retry={reset} />
    </main>
  );
}

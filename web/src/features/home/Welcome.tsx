import { strings } from "../../strings";
import { Panel } from "../../ui/Panel";
import css from "./Home.module.css";

const OTLP_PORT = 4318;

/** Before the first telemetry: the two ways to have some. */
export function Welcome() {
  const endpoint = `OTEL_EXPORTER_OTLP_ENDPOINT=http://${window.location.hostname}:${OTLP_PORT}`;
  return (
    <Panel title={strings.home.start}>
      <p>{strings.home.startOtlp}</p>
      <code className={css.code}>{endpoint}</code>
      <p>{strings.home.startDemo}</p>
      <code className={css.code}>make demo</code>
    </Panel>
  );
}

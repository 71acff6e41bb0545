/** The API's records, named as on the wire. Times are RFC 3339 UTC text, sids 16 hex digits. */

export type Severity = "info" | "warning" | "critical";
export type AlertState = "firing" | "acknowledged" | "resolved";
export type IncidentState = "open" | "acknowledged" | "resolved";
export type EntityHealth = "ok" | "suspect" | "affected";

export interface Incident {
  id: string;
  title: string;
  state: IncidentState;
  severity: Severity;
  start: string;
  detected: string;
  last_seen: string;
  end: string | null;
  entities: string[];
  alerts: string[];
  owner: string;
  summary: string;
  backfilled: boolean;
}

export interface Alert {
  id: string;
  fingerprint: string;
  entity: string;
  signal: string;
  title: string;
  state: AlertState;
  severity: Severity;
  start: string;
  last_seen: string;
  end: string | null;
  incident: string;
  source: string;
  findings: string[];
  count: number;
  score: number;
  backfilled: boolean;
}

export interface Finding {
  id: string;
  entity: string;
  series: string;
  metric: string;
  onset: string;
  seen: string;
  score: number;
  effect: number;
  value: number;
  expected: number;
  low: number;
  high: number;
  direction: "up" | "down" | "absent";
  detector: string;
  reason: string;
  state: "open" | "closed";
  unit: string;
  labels_text: string;
}

export type EvidenceKind = "series" | "trace" | "log" | "change" | "topology";

export interface Evidence {
  kind: EvidenceKind;
  text: string;
  ref: string;
  start: string;
  end: string;
  entity: string;
  weight: number;
  attributes: Record<string, string>;
}

export interface Suspect {
  entity: string;
  reason: string;
  score: number;
  change: string;
  evidence: Evidence[];
}

export interface Diagnosis {
  id: string;
  incident: string;
  time: string;
  suspects: Suspect[];
  ranker: string;
}

export type TimelineKind =
  | "opened"
  | "alert"
  | "alert_resolved"
  | "change"
  | "diagnosis"
  | "proposed"
  | "approved"
  | "rejected"
  | "step"
  | "verified"
  | "notice"
  | "verdict"
  | "acknowledged"
  | "resolved"
  | "note";

export interface TimelineEntry {
  id: string;
  incident: string;
  time: string;
  kind: TimelineKind;
  text: string;
  entity: string;
  actor: string;
  ref: string;
}

export interface Entity {
  id: string;
  kind: string;
  name: string;
  attributes: Record<string, string>;
  last_seen: string | null;
  health: EntityHealth;
}

export interface Edge {
  source: string;
  target: string;
  relation: "calls" | "runs_on" | "reads" | "feeds" | "trained_on" | "serves";
  calls: number;
  confidence: number;
  last_seen: string | null;
}

export interface Topology {
  entities: Entity[];
  edges: Edge[];
}

export type ExecutionState =
  | "proposed"
  | "approved"
  | "running"
  | "verifying"
  | "succeeded"
  | "failed"
  | "rejected"
  | "expired"
  | "unknown";
export type StepState = "pending" | "running" | "succeeded" | "failed" | "skipped" | "unknown";

export interface StepRun {
  name: string;
  action: string;
  state: StepState;
  started: string | null;
  ended: string | null;
  output: string;
}

export interface Execution {
  id: string;
  runbook: string;
  title: string;
  incident: string;
  state: ExecutionState;
  targets: string[];
  arguments: Record<string, unknown>;
  approval_hash: string;
  expires: string;
  created: string;
  steps: StepRun[];
  requester: string;
  approver: string;
  approved_at: string | null;
  ended: string | null;
  result: string;
  dry_run: boolean;
}

export type VerdictSubject = "alert" | "group" | "suspect" | "execution";
export type VerdictValue = "right" | "wrong" | "noise";

export interface Verdict {
  id: string;
  subject: VerdictSubject;
  ref: string;
  incident: string;
  value: VerdictValue;
  author: string;
  time: string;
  note: string;
}

export interface IncidentDetail {
  incident: Incident;
  alerts: Alert[];
  findings: Finding[];
  diagnosis: Diagnosis | null;
  timeline: TimelineEntry[];
  topology: Topology;
  executions: Execution[];
  verdicts: Verdict[];
}

export interface ChangeEvent {
  id: string;
  kind: string;
  time: string;
  entity: string;
  title: string;
  change: string | null;
  version: string;
  state: string;
  source: string;
  link: string;
  attributes: Record<string, string>;
}

export interface Series {
  sid: string;
  metric: string;
  labels: Record<string, string>;
  entity: string;
  unit: string;
  kind: string;
  origin: string;
}

export interface Points {
  series: Series;
  start: string;
  end: string;
  step_s: number;
  time_ms: number[];
  mean: (number | null)[];
  min: (number | null)[];
  max: (number | null)[];
  band: { low: (number | null)[] | null; high: (number | null)[] | null };
  findings: Finding[];
}

export interface Span {
  span_id: string;
  parent_id: string;
  entity: string;
  name: string;
  kind: number;
  start: string;
  duration_ms: number;
  error: boolean;
  peer: string;
  attributes: Record<string, unknown>;
}

export interface Trace {
  trace_id: string;
  spans: Span[];
}

export interface LogLine {
  time: string;
  entity: string;
  severity: number;
  body: string;
  trace_id: string;
}

export interface Home {
  open_incidents: Incident[];
  recent_incidents: Incident[];
  counts: {
    open: number;
    acknowledged: number;
    resolved_24h: number;
    alerts_firing: number;
    findings_24h: number;
    alerts_24h: number;
    incidents_24h: number;
  };
  models_at_risk: { model: string; version: string; reason: string; drift: number | null }[];
  changes: ChangeEvent[];
  health: { entities: number; series: number; points_per_s: number; lag_s: number; journal_bytes: number };
  noise_removed: { findings: number; alerts: number; incidents: number };
}

export interface DriftReading {
  feature: string;
  entity: string;
  series: string;
  value: number;
}

export interface ModelSummary {
  model: string;
  kind: string;
  live_version: string;
  owner: string;
  versions: number;
  health: EntityHealth;
  drift: DriftReading[];
  request_rate: number | null;
}

export interface GateResult {
  name: string;
  passed: boolean;
  value: number;
  limit: number;
  text: string;
}

export interface ModelField {
  name: string;
  datatype: string;
  entity: string;
}

export interface ModelVersion {
  id: string;
  model: string;
  version: string;
  kind: string;
  format: string;
  artifact: string;
  artifact_sha256: string;
  created: string;
  run: string;
  dataset: string;
  inputs: ModelField[];
  outputs: ModelField[];
  metrics: Record<string, number>;
  gates: GateResult[];
  owner: string;
  description: string;
}

export type ReleaseStage = "shadow" | "canary" | "live" | "retired" | "rolled_back";

export interface Release {
  id: string;
  model: string;
  version: string;
  stage: ReleaseStage;
  seq: number;
  time: string;
  weight: number;
  previous: string;
  approver: string;
  reason: string;
  evidence: string[];
}

export interface Project {
  id: string;
  title: string;
  owner: string;
  risk: string;
  model: string;
  path: string;
  kind: string;
}

export interface Run {
  id: string;
  project: string;
  model: string;
  state: "running" | "succeeded" | "failed";
  started: string;
  dataset: string;
  code_sha256: string;
  environment_sha256: string;
  seed: number;
  parameters: Record<string, string>;
  metrics: Record<string, number>;
  artifact_sha256: string;
  ended: string | null;
  error: string;
}

export interface DatasetVersion {
  id: string;
  dataset: string;
  sha256: string;
  rows: number;
  size_bytes: number;
  location: string;
  created: string;
  source: string;
}

export interface ModelDetail {
  model: string;
  kind: string;
  owner: string;
  versions: ModelVersion[];
  releases: Release[];
  project: Project | null;
  runs: Run[];
  datasets: DatasetVersion[];
  drift: (DriftReading & { finding: Finding | null })[];
  traffic: { version: string; stage: ReleaseStage; weight: number }[];
}

export interface Fault {
  name: string;
  title: string;
  description: string;
  active: boolean;
  since: string | null;
}

export interface Demo {
  available: boolean;
  faults: Fault[];
  shop: { services: string[] };
}

export interface Session {
  user: { id: string; name: string; role: string };
  permissions: string[];
}

export interface Token {
  id: string;
  user: string;
  name: string;
  kind: string;
  scopes: string[];
  created: string;
  expires: string | null;
  revoked: boolean;
}

export interface Audit {
  id: string;
  seq: number;
  time: string;
  actor: string;
  action: string;
  target: string;
  detail: Record<string, string>;
}

export interface Page<T> {
  items: T[];
  next: string;
}

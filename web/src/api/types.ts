/** The API's records by the names that the screens use, taken from the generated schema. */
import type { components } from "./schema";

/** Every record carries its tenant; the screens show one tenant and leave it out. */
type WithoutTenant<T> = T extends (infer Item)[]
  ? WithoutTenant<Item>[]
  : T extends object
    ? { [Key in keyof T as Key extends "tenant" ? never : Key]: WithoutTenant<T[Key]> }
    : T;

type Wire<Name extends keyof components["schemas"]> = WithoutTenant<components["schemas"][Name]>;

export interface Page<Item> {
  items: Item[];
  next: string;
}

export type Alert = Wire<"Alert">;
export type Audit = Wire<"Audit">;
export type Backtest = Wire<"Backtest">;
export type Rehearsal = Wire<"Rehearsal">;
export type Precision = Wire<"Precision">;
export type Trust = Wire<"Trust">;
export type ShadowFinding = Wire<"ShadowFinding">;
export type Delivery = Wire<"Delivery">;
export type Delivered = Wire<"Delivered">;
export type ChangeEvent = Wire<"Event">;
export type DatasetVersion = Wire<"DatasetVersion">;
export type Demo = Wire<"Demo">;
export type Diagnosis = Wire<"Diagnosis">;
export type DriftReading = Wire<"DriftValue">;
export type Edge = Wire<"Edge">;
export type Entity = Wire<"EntityView">;
export type Evidence = Wire<"Evidence">;
export type EventKind = Wire<"EventKind">;
export type Execution = Wire<"Execution">;
export type ExecutionState = Wire<"ExecutionState">;
export type Explanation = Wire<"Explanation">;
export type Fault = Wire<"FaultView">;
export type Finding = Wire<"Finding">;
export type Forecast = Wire<"Forecast">;
export type GateResult = Wire<"GateResult">;
export type Home = Wire<"Home">;
export type Incident = Wire<"Incident">;
export type IncidentDetail = Wire<"IncidentDetail">;
export type IncidentState = Wire<"IncidentState">;
export type LogTemplate = Wire<"TemplateView">;
export type LogLine = Wire<"LogLine">;
export type ModelDetail = Wire<"ModelDetail">;
export type ModelSummary = Wire<"ModelSummary">;
export type ModelVersion = Wire<"ModelVersion">;
export type Permission =
  | "read"
  | "incident:respond"
  | "runbook:approve"
  | "model:train"
  | "model:release"
  | "demo:break"
  | "admin";
export type PastFinding = Wire<"PastFinding">;
export type Points = Wire<"Points">;
export type Release = Wire<"Release">;
export type ReleaseStage = Wire<"ReleaseStage">;
export type Role = Wire<"Role">;
export type Run = Wire<"Run">;
export type Runbook = Wire<"Runbook">;
export type Session = Wire<"SessionView">;
export type Silencer = Wire<"Silencer">;
export type SloStatus = Wire<"SloStatus">;
export type Span = Wire<"SpanView">;
export type StepRun = Wire<"StepRun">;
export type Severity = Wire<"Severity">;
export type Suspect = Wire<"Suspect">;
export type Templates = Wire<"Templates">;
export type TimelineEntry = Wire<"TimelineEntry">;
export type TimelineKind = Wire<"TimelineKind">;
export type Token = Wire<"TokenView">;
export type Topology = Wire<"Topology">;
export type TimeShare = Wire<"TimeShare">;
export type Trace = Wire<"Trace">;
export type TraceLine = Wire<"TraceLine">;
export type User = Wire<"UserView">;
export type Verdict = Wire<"Verdict">;
export type VerdictSubject = Wire<"VerdictSubject">;
export type VerdictValue = Wire<"VerdictValue">;

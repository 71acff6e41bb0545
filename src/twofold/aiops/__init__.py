"""AIOps automates machines: telemetry in, findings, incidents, diagnoses, remedies out."""

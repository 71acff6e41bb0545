"""OpenTelemetry Protocol over HTTP: metrics, logs and traces, as protobuf or JSON."""

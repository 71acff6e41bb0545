"""What is done to telemetry before it is durable: relabelled, dropped, scrubbed, converted, limited; all counted."""

"""The inference data plane: Open Inference Protocol v2 with a prediction log."""

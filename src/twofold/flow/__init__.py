"""How work moves: stages over journal partitions, checkpoints, bounded queues, and the durable workflow engine."""

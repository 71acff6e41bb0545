"""What depends on what, learnt from traces, resources and model lineage."""

"""The only place that wires: settings in, running parts out. Nothing here decides anything."""

"""Log templates: accuracy on labelled systems, speed, novelty and memory, beside peers."""

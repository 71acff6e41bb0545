"""Log lines to templates as they stream by: masks, shapes, merging, stable ids, and search."""

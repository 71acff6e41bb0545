"""Log lines as bytes: words, shapes, and the values in them."""

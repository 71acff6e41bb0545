"""REST, thin: parse, authorise, call, map errors."""

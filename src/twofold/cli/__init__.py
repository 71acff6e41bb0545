"""Commands: noun, then verb. Thin: each calls the REST API and prints a table or JSON.

Nothing heavy is imported before a command needs it: `twofold --help` answers at once.
"""

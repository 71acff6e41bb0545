"""Alembic's entry: runs the migrations on the connection and in the transaction that `migrate` hands over."""

from alembic import context

from twofold.store.ledger.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()

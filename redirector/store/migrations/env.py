"""Alembic's entry: runs the migrations on the connection that `redirector.store.migrating` hands over."""

from __future__ import annotations

from alembic import context

import redirector.store.tables  # noqa: F401  fills the metadata
from redirector.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()

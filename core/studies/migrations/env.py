"""What Alembic runs: on the connection, and in the transaction, of whoever opens the store."""

from __future__ import annotations

from alembic import context

from core.studies.storage.database import VERSION_TABLE
from core.studies.storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite cannot alter much in place
    transactional_ddl=True,  # SQLite can, though Alembic does not expect it: a step is whole or not there
)
with context.begin_transaction():
    context.run_migrations()

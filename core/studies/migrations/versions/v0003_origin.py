"""Where a study comes from: made here, imported answers, or values printed in a publication; before, the latter two were one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward: what was brought in and has single answers was imported; what has means alone was published."""
    op.add_column("studies", sa.Column("origin", sa.Text, nullable=False, server_default="here"))
    answered = "EXISTS (SELECT 1 FROM ratings WHERE ratings.study = studies.name)"
    op.execute(f"UPDATE studies SET origin = CASE WHEN {answered} THEN 'imported' ELSE 'published' END WHERE published")
    op.execute("ALTER TABLE studies DROP COLUMN published")

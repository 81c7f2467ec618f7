"""Recruitment: settings of a study that may change while it runs, places that are handed out again, names of participants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Forward."""
    op.add_column("studies", sa.Column("settings", sa.Text, nullable=False, server_default="{}"))
    op.add_column("studies", sa.Column("declined", sa.Integer, nullable=False, server_default="0"))
    op.add_column("studies", sa.Column("screened_out", sa.Integer, nullable=False, server_default="0"))
    op.add_column("raters", sa.Column("seen_at", MOMENT))
    op.add_column("raters", sa.Column("released_at", MOMENT))
    op.add_column("raters", sa.Column("screened_out_at", MOMENT))
    op.add_column("raters", sa.Column("understood_at", MOMENT))
    op.add_column("raters", sa.Column("tries", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "participants",
        sa.Column("study", NAME, primary_key=True),
        sa.Column("rater", NAME, primary_key=True),
        sa.Column("participant", NAME),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["study", "rater"], ["raters.study", "raters.rater"], ondelete="CASCADE"),
    )
    op.create_index("participants_once", "participants", ["study", "participant"], unique=True)

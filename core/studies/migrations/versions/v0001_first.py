"""The first tables: studies, stimuli, raters, ratings, deletions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "studies",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False, unique=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("published", sa.Boolean, nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("sample_sets", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("enrolled", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "stimuli",
        sa.Column("study", NAME, sa.ForeignKey("studies.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("stimulus", NAME, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("images", sa.Text, nullable=False),
        sa.Column("sample_type", sa.Text, nullable=False),
        sa.Column("base_id", sa.Text, nullable=False),
        sa.Column("is_sentinel", sa.Boolean, nullable=False),
        sa.Column("expected", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("handed_out", sa.Integer, nullable=False),
    )
    op.create_table(
        "raters",
        sa.Column("study", NAME, sa.ForeignKey("studies.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("rater", NAME, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("code", sa.Text, nullable=False, unique=True),
        sa.Column("trials", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("consented_at", MOMENT),
        sa.Column("demographics", sa.Text, nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "ratings",
        sa.Column("rating_id", sa.Text, primary_key=True),
        sa.Column("study", NAME, sa.ForeignKey("studies.name", ondelete="CASCADE"), nullable=False),
        sa.Column("rater", NAME, nullable=False),
        sa.Column("session", sa.Text, nullable=False),
        sa.Column("trial", sa.BigInteger, nullable=False),
        sa.Column("stimulus", NAME, nullable=False),
        sa.Column("task", NAME, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("reaction_time_ms", sa.Float(53)),
        sa.Column("is_sentinel", sa.Boolean, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("presented", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_index("ratings_once", "ratings", ["study", "rater", "trial", "task", "stimulus"], unique=True)
    op.create_index("ratings_by_stimulus", "ratings", ["study", "stimulus", "rater"])
    op.create_table(
        "deletions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study", NAME, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("answers", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("deleted_at", MOMENT, nullable=False),
    )
    op.create_index("ix_deletions_study", "deletions", ["study"])

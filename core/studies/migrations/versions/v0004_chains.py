"""Faces that people make by Gibbs sampling: what is made, by whom, and every step."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "chain_studies",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("design", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False, unique=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("enrolled", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "chain_people",
        sa.Column("study", NAME, sa.ForeignKey("chain_studies.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("person", NAME, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("code", sa.Text, nullable=False, unique=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("chain", sa.Integer),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
    )
    op.create_table(
        "chain_steps",
        sa.Column("study", NAME, sa.ForeignKey("chain_studies.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("chain", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("iteration", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("person", NAME, nullable=False),
        sa.Column("latent", NAME, nullable=False),
        sa.Column("value", sa.Float(53)),
        sa.Column("reaction_time_ms", sa.Float(53)),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("offered_at", MOMENT, nullable=False),
        sa.Column("chosen_at", MOMENT),
        sa.Column("presented", sa.Text, nullable=False),
    )

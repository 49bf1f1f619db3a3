"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SCHEMA IF NOT EXISTS patches")
    op.create_table(
        "libraries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("root_path", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("origin", sa.Text(), server_default="user", nullable=False),
        sa.Column("file_write_mode", sa.Text(), nullable=True),
        sa.Column("watch_mode", sa.Text(), server_default="off", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("scan_started_at", sa.BigInteger(), nullable=True),
        sa.Column("scan_finished_at", sa.BigInteger(), nullable=True),
        sa.Column("scan_heartbeat_at", sa.BigInteger(), nullable=True),
        sa.Column("scan_error", sa.Text(), nullable=True),
        sa.Column("scan_owner", sa.Text(), nullable=True),
        sa.CheckConstraint("origin IN ('user', 'tag')", name=op.f("ck_libraries_origin")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_libraries")),
        sa.UniqueConstraint("name", name=op.f("uq_libraries_name")),
        sa.UniqueConstraint("root_path", name=op.f("uq_libraries_root_path")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "patch_embeddings",
        sa.Column("file_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("backbone", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("patches", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "backbone", name=op.f("pk_patch_embeddings")),
        schema="patches",
    )
    op.create_table(
        "preferences",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_preferences")),
    )
    op.create_table(
        "score_packs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("heads", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_packs")),
        sa.UniqueConstraint("pack", "fingerprint", name=op.f("uq_score_packs_pack_fingerprint")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "library_files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("library_id", sa.Integer(), nullable=False),
        sa.Column("folder", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("container", sa.Text(), nullable=True),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("artist", sa.Text(), nullable=True),
        sa.Column("album", sa.Text(), nullable=True),
        sa.Column("album_artist", sa.Text(), nullable=True),
        sa.Column("genre", sa.Text(), nullable=True),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("track", sa.Integer(), nullable=True),
        sa.Column("disc", sa.Integer(), nullable=True),
        sa.Column("audio_key", sa.Text(), nullable=True),
        sa.Column("audio_hash", sa.Text(), nullable=True),
        sa.Column("needs_tagging", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("needs_write", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("missing_since", sa.BigInteger(), nullable=True),
        sa.Column("set_aside", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_kind", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claim_token", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("suite", sa.Text(), nullable=True),
        sa.Column("analyzed_at", sa.BigInteger(), nullable=True),
        sa.Column("patches", sa.Integer(), nullable=True),
        sa.Column("analysis_s", sa.Float(), nullable=True),
        sa.Column("written_hash", sa.Text(), nullable=True),
        sa.Column("written_at", sa.BigInteger(), nullable=True),
        sa.Column("write_error", sa.Text(), nullable=True),
        sa.Column("write_failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("calibration", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"],
            ["libraries.id"],
            name=op.f("fk_library_files_library_id_libraries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_library_files")),
        sa.UniqueConstraint("library_id", "folder", "name", name=op.f("uq_library_files_library_id_folder_name")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_library_files_audio_key", "library_files", ["audio_key"], unique=False)
    op.create_index(
        "ix_library_files_lease",
        "library_files",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("lease_until IS NOT NULL"),
        postgresql_where=sa.text("lease_until IS NOT NULL"),
    )
    op.create_index(
        "ix_library_files_missing",
        "library_files",
        ["missing_since"],
        unique=False,
        sqlite_where=sa.text("missing_since IS NOT NULL"),
        postgresql_where=sa.text("missing_since IS NOT NULL"),
    )
    op.create_index(
        "ix_library_files_problem",
        "library_files",
        ["id"],
        unique=False,
        sqlite_where=sa.text("set_aside OR write_error IS NOT NULL"),
        postgresql_where=sa.text("set_aside OR write_error IS NOT NULL"),
    )
    op.create_index(
        "ix_library_files_to_do",
        "library_files",
        ["library_id", sa.text("priority DESC"), "id"],
        unique=False,
        sqlite_where=sa.text("(needs_tagging OR needs_write) AND missing_since IS NULL AND NOT set_aside"),
        postgresql_where=sa.text("(needs_tagging OR needs_write) AND missing_since IS NULL AND NOT set_aside"),
    )
    op.create_index(
        "ix_library_files_state",
        "library_files",
        [
            "library_id",
            "needs_tagging",
            "needs_write",
            "set_aside",
            "missing_since",
            "analyzed_at",
            "lease_until",
        ],
        unique=False,
    )
    op.create_table(
        "embeddings",
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("backbone", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("mean", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["library_files.id"],
            name=op.f("fk_embeddings_file_id_library_files"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("file_id", "backbone", name=op.f("pk_embeddings")),
    )
    op.create_table(
        "file_scores",
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("pack_id", sa.Integer(), nullable=False),
        sa.Column("scores", sa.LargeBinary(), nullable=False),
        sa.Column("spreads", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["library_files.id"],
            name=op.f("fk_file_scores_file_id_library_files"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["pack_id"], ["score_packs.id"], name=op.f("fk_file_scores_pack_id_score_packs")),
        sa.PrimaryKeyConstraint("file_id", "pack_id", name=op.f("pk_file_scores")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "file_tags",
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["library_files.id"],
            name=op.f("fk_file_tags_file_id_library_files"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(op.f("ix_file_tags_file_id"), "file_tags", ["file_id"], unique=False)
    op.create_index("ix_file_tags_name_value", "file_tags", ["name", "value"], unique=False)
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("before_json", sa.Text(), nullable=False),
        sa.Column("after_json", sa.Text(), nullable=False),
        sa.Column("audio_hash", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("action IN ('write', 'remove', 'undo')", name=op.f("ck_journal_action")),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["library_files.id"],
            name=op.f("fk_journal_file_id_library_files"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_journal_batch"), "journal", ["batch"], unique=False)
    op.create_index(op.f("ix_journal_file_id"), "journal", ["file_id"], unique=False)
    op.create_table(
        "written_tags",
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["library_files.id"],
            name=op.f("fk_written_tags_file_id_library_files"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("file_id", "name", name=op.f("pk_written_tags")),
    )

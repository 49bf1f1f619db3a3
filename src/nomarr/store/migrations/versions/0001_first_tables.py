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
        sa.Column("standard_fields", sa.Text(), nullable=True),
        sa.Column("watch_mode", sa.Text(), server_default="off", nullable=False),
        sa.Column("watch_problem", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("scan_started_at", sa.BigInteger(), nullable=True),
        sa.Column("scan_finished_at", sa.BigInteger(), nullable=True),
        sa.Column("scan_heartbeat_at", sa.BigInteger(), nullable=True),
        sa.Column("scan_error", sa.Text(), nullable=True),
        sa.Column("scan_owner", sa.Text(), nullable=True),
        sa.Column("whole_scan_at", sa.BigInteger(), nullable=True),
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
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("scope IN ('read', 'enqueue', 'admin')", name=op.f("ck_api_keys_scope")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "score_packs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("backbone", sa.Text(), server_default=sa.text("''"), nullable=False),
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
        sa.Column("files", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rate_per_minute", sa.Float(), nullable=True),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "announcements",
        sa.Column("library_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("album", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("is_tree", sa.Boolean(), nullable=False),
        sa.Column("is_promised", sa.Boolean(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=True),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"],
            ["libraries.id"],
            name=op.f("fk_announcements_library_id_libraries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("library_id", "path", name=op.f("pk_announcements")),
    )
    op.create_index(op.f("ix_announcements_due_at"), "announcements", ["due_at"], unique=False)
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
        *(
            sa.Column(
                name,
                sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
                server_default=sa.text("''"),
                nullable=False,
            )
            for name in ("title_key", "artist_key", "album_key", "words")
        ),
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
        sa.Column("hands_off", sa.Boolean(), server_default=sa.false(), nullable=False),
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
        "ix_library_files_calibration",
        "library_files",
        ["library_id", "calibration"],
        unique=False,
        sqlite_where=sa.text("written_hash IS NOT NULL AND missing_since IS NULL"),
        postgresql_where=sa.text("written_hash IS NOT NULL AND missing_since IS NULL"),
    )
    for name, columns in {
        "artist": ["artist_key", "album_key", "disc", "track", "id"],
        "album": ["album_key", "disc", "track", "id"],
        "title": ["title_key", "id"],
        "analyzed": ["analyzed_at", "id"],
        "words": ["words", "library_id", "missing_since"],
    }.items():
        op.create_index(
            f"ix_library_files_by_{name}",
            "library_files",
            columns,
            unique=False,
            sqlite_where=sa.text("missing_since IS NULL"),
            postgresql_where=sa.text("missing_since IS NULL"),
        )
    op.create_index("ix_library_files_updated_at", "library_files", ["updated_at"], unique=False)
    op.create_index(
        "ix_library_files_waiting",
        "library_files",
        ["updated_at"],
        unique=False,
        sqlite_where=sa.text("(needs_tagging OR needs_write) AND missing_since IS NULL AND NOT set_aside"),
        postgresql_where=sa.text("(needs_tagging OR needs_write) AND missing_since IS NULL AND NOT set_aside"),
    )
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
            "missing_since",
            "set_aside",
            "needs_tagging",
            "needs_write",
            "analyzed_at",
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
        "score_changes",
        sa.Column("file_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pack_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "pack_id", name=op.f("pk_score_changes")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_score_changes_stamp"), "score_changes", ["stamp"], unique=False)
    op.create_table(
        "calibrations",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("library_id", sa.Integer(), nullable=True),
        sa.Column("library_size", sa.Integer(), nullable=False),
        sa.Column("global_version", sa.Text(), nullable=False),
        sa.Column("drift", sa.Float(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"],
            ["libraries.id"],
            name=op.f("fk_calibrations_library_id_libraries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_calibrations")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "calibration_heads",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("head_key", sa.Text(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("head_name", sa.Text(), nullable=False),
        sa.Column("p5", sa.Float(), nullable=False),
        sa.Column("p95", sa.Float(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("underflow", sa.Integer(), nullable=False),
        sa.Column("overflow", sa.Integer(), nullable=False),
        sa.Column("drift", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version"],
            ["calibrations.version"],
            name=op.f("fk_calibration_heads_version_calibrations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version", "head_key", name=op.f("pk_calibration_heads")),
    )
    op.create_table(
        "corrections",
        sa.Column("file_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("audio_hash", sa.Text(), nullable=True),
        sa.Column("moods", sa.Text(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_corrections")),
    )
    op.create_index(op.f("ix_corrections_audio_hash"), "corrections", ["audio_hash"], unique=False)
    op.create_table(
        "file_tags",
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["library_files.id"],
            name=op.f("fk_file_tags_file_id_library_files"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(op.f("ix_file_tags_file_id"), "file_tags", ["file_id"], unique=False)
    op.create_index("ix_file_tags_name_value", "file_tags", ["name", "value", "file_id", "position"], unique=False)
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("before_json", sa.Text(), nullable=False),
        sa.Column("after_hash", sa.Text(), nullable=False),
        sa.Column("audio_hash", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("undone_at", sa.BigInteger(), nullable=True),
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
        "navidrome_playlists",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("navidrome_id", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("tracks", sa.Integer(), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('rules', 'list')", name=op.f("ck_navidrome_playlists_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_navidrome_playlists")),
        sa.UniqueConstraint("account", "name", name=op.f("uq_navidrome_playlists_account_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "navidrome_songs",
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("song_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["library_files.id"],
            name=op.f("fk_navidrome_songs_file_id_library_files"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_navidrome_songs")),
    )
    if op.get_bind().dialect.name == "postgresql":
        _note_score_changes_on_postgresql()
    else:
        _note_score_changes_on_sqlite()


FILE_CHANGED = "OLD.missing_since IS DISTINCT FROM NEW.missing_since OR OLD.library_id <> NEW.library_id"


def _note_score_changes_on_sqlite() -> None:
    stamp = "(SELECT COALESCE(MAX(stamp), 0) + 1 FROM score_changes)"
    for name, when, row in (
        ("added", "AFTER INSERT ON file_scores", "NEW.file_id, NEW.pack_id"),
        ("changed", "AFTER UPDATE ON file_scores", "NEW.file_id, NEW.pack_id"),
        ("removed", "AFTER DELETE ON file_scores", "OLD.file_id, OLD.pack_id"),
        (
            "elsewhere",
            "AFTER UPDATE OF missing_since, library_id ON library_files "
            f"WHEN {FILE_CHANGED.replace('IS DISTINCT FROM', 'IS NOT')}",
            "NEW.id, 0",
        ),
        ("corrected", "AFTER INSERT ON corrections", "NEW.file_id, 0"),
        ("corrected_again", "AFTER UPDATE ON corrections", "NEW.file_id, 0"),
        ("not_corrected", "AFTER DELETE ON corrections", "OLD.file_id, 0"),
    ):
        op.execute(
            f"""
            CREATE TRIGGER scores_{name} {when}
            BEGIN
                INSERT INTO score_changes (file_id, pack_id, stamp) VALUES ({row}, {stamp})
                ON CONFLICT (file_id, pack_id) DO UPDATE SET stamp = excluded.stamp;
            END
            """
        )


def _note_score_changes_on_postgresql() -> None:
    for name, row in (
        ("scores", "COALESCE(NEW.file_id, OLD.file_id), COALESCE(NEW.pack_id, OLD.pack_id)"),
        ("file", "NEW.id, 0"),
        ("correction", "COALESCE(NEW.file_id, OLD.file_id), 0"),
    ):
        op.execute(
            f"""
            CREATE FUNCTION note_changed_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO score_changes (file_id, pack_id, stamp)
                VALUES ({row}, CAST(CAST(pg_current_xact_id() AS text) AS bigint))
                ON CONFLICT (file_id, pack_id) DO UPDATE SET stamp = excluded.stamp;
                RETURN NULL;
            END
            $$
            """
        )
    op.execute(
        """
        CREATE TRIGGER scores_changed AFTER INSERT OR UPDATE OR DELETE ON file_scores
        FOR EACH ROW EXECUTE FUNCTION note_changed_scores()
        """
    )
    op.execute(
        f"""
        CREATE TRIGGER scores_elsewhere AFTER UPDATE OF missing_since, library_id ON library_files
        FOR EACH ROW WHEN ({FILE_CHANGED}) EXECUTE FUNCTION note_changed_file()
        """
    )
    op.execute(
        """
        CREATE TRIGGER scores_corrected AFTER INSERT OR UPDATE OR DELETE ON corrections
        FOR EACH ROW EXECUTE FUNCTION note_changed_correction()
        """
    )

"""The tables, as SQLAlchemy sees them. Times are milliseconds UTC, JSON is text, vectors are bytes."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Compared by bytes on both databases, so that one range of folders means the same on each.
PlainText = Text().with_variant(Text(collation="C"), "postgresql")

TO_DO = "(needs_tagging OR needs_write) AND missing_since IS NULL AND NOT set_aside"

libraries = Table(
    "libraries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("root_path", PlainText, nullable=False, unique=True),
    Column("is_enabled", Boolean, nullable=False, server_default=true()),
    Column("origin", Text, nullable=False, server_default="user"),
    Column("file_write_mode", Text),  # NULL: as the settings say
    Column("watch_mode", Text, nullable=False, server_default="off"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("scan_started_at", BigInteger),
    Column("scan_finished_at", BigInteger),
    Column("scan_heartbeat_at", BigInteger),
    Column("scan_error", Text),
    Column("scan_owner", Text),  # NULL: no scan is running
    CheckConstraint("origin IN ('user', 'tag')", name="origin"),
    sqlite_autoincrement=True,
)

library_files = Table(
    "library_files",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("library_id", ForeignKey("libraries.id", ondelete="CASCADE"), nullable=False),
    Column("folder", PlainText, nullable=False),  # relative to the root, "" for the root itself
    Column("name", PlainText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("container", Text),
    Column("duration_s", Float),
    Column("title", Text),
    Column("artist", Text),
    Column("album", Text),
    Column("album_artist", Text),
    Column("genre", Text),  # the first; file_tags has them all
    Column("year", Integer),
    Column("track", Integer),
    Column("disc", Integer),
    Column("audio_key", Text),  # cheap hint: equal audio has equal keys
    Column("audio_hash", Text),  # proof, read in full
    Column("needs_tagging", Boolean, nullable=False, server_default=false()),  # needs listening
    Column("needs_write", Boolean, nullable=False, server_default=false()),  # results are not in the file yet
    Column("missing_since", BigInteger),
    Column("set_aside", Boolean, nullable=False, server_default=false()),
    Column("error", Text),
    Column("error_kind", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", BigInteger),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("claim_token", BigInteger, nullable=False, server_default="0"),
    Column("claimed_by", Text),
    Column("lease_until", BigInteger),
    Column("suite", Text),
    Column("analyzed_at", BigInteger),
    Column("patches", Integer),
    Column("analysis_s", Float),
    Column("written_hash", Text),
    Column("written_at", BigInteger),
    Column("write_error", Text),
    Column("write_failures", Integer, nullable=False, server_default="0"),
    Column("calibration", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("library_id", "folder", "name"),
    Index(
        "ix_library_files_to_do",
        "library_id",
        text("priority DESC"),
        "id",
        sqlite_where=text(TO_DO),
        postgresql_where=text(TO_DO),
    ),
    # All that the queue's numbers are counted from, so that the wide rows stay untouched.
    Index(
        "ix_library_files_state",
        "library_id",
        "needs_tagging",
        "needs_write",
        "set_aside",
        "missing_since",
        "analyzed_at",
        "lease_until",
    ),
    Index(
        "ix_library_files_lease",
        "lease_until",
        sqlite_where=text("lease_until IS NOT NULL"),
        postgresql_where=text("lease_until IS NOT NULL"),
    ),
    Index(
        "ix_library_files_problem",
        "id",
        sqlite_where=text("set_aside OR write_error IS NOT NULL"),
        postgresql_where=text("set_aside OR write_error IS NOT NULL"),
    ),
    Index(
        "ix_library_files_missing",
        "missing_since",
        sqlite_where=text("missing_since IS NOT NULL"),
        postgresql_where=text("missing_since IS NOT NULL"),
    ),
    Index("ix_library_files_audio_key", "audio_key"),
    sqlite_autoincrement=True,  # an id of a purged file never means another file
)

score_packs = Table(
    "score_packs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pack", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("heads", Text, nullable=False),  # JSON: the names, in the order of the vectors
    UniqueConstraint("pack", "fingerprint"),
)

file_scores = Table(
    "file_scores",
    metadata,
    Column("file_id", ForeignKey("library_files.id", ondelete="CASCADE"), primary_key=True),
    Column("pack_id", ForeignKey("score_packs.id"), primary_key=True),
    Column("scores", LargeBinary, nullable=False),  # float32[heads], little endian
    Column("spreads", LargeBinary, nullable=False),  # float32[heads], little endian
    sqlite_with_rowid=False,
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("file_id", ForeignKey("library_files.id", ondelete="CASCADE"), primary_key=True),
    Column("backbone", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("mean", LargeBinary, nullable=False),  # float32[size], little endian
)

# In a file of its own on SQLite: ten times the size of all the rest, and replaceable by listening again.
# A foreign key cannot reach across files; store.files removes the rows together with the file's.
patch_embeddings = Table(
    "patch_embeddings",
    metadata,
    Column("file_id", Integer, primary_key=True, autoincrement=False),
    Column("backbone", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("patches", LargeBinary, nullable=False),  # float16[n, size], little endian
    schema="patches",
)

file_tags = Table(
    "file_tags",
    metadata,
    Column("file_id", ForeignKey("library_files.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", PlainText, nullable=False),
    Column("value", PlainText, nullable=False),
    Index("ix_file_tags_name_value", "name", "value"),
)

written_tags = Table(
    "written_tags",
    metadata,
    Column("file_id", ForeignKey("library_files.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value_json", Text, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file_id", ForeignKey("library_files.id", ondelete="SET NULL"), index=True),
    Column("path", Text, nullable=False),
    Column("batch", Text, nullable=False, index=True),
    Column("action", Text, nullable=False),
    Column("before_json", Text, nullable=False),
    Column("after_json", Text, nullable=False),
    Column("audio_hash", Text),
    Column("size", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("at", BigInteger, nullable=False),
    CheckConstraint("action IN ('write', 'remove', 'undo')", name="action"),
    sqlite_autoincrement=True,
)

preferences = Table(
    "preferences",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("file_id", Integer),
)

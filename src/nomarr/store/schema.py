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
    Column("standard_fields", Text),  # separated by commas; NULL: as the settings say
    Column("watch_mode", Text, nullable=False, server_default="off"),
    Column("watch_problem", Text),  # why it is not watched as it should be
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("scan_started_at", BigInteger),
    Column("scan_finished_at", BigInteger),
    Column("scan_heartbeat_at", BigInteger),
    Column("scan_error", Text),
    Column("scan_owner", Text),  # NULL: no scan is running
    Column("whole_scan_at", BigInteger),  # when a scan of all of it last came to its end
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
    # Folded for sorting and searching, by store.facts.values.
    Column("title_key", PlainText, nullable=False, server_default=text("''")),
    Column("artist_key", PlainText, nullable=False, server_default=text("''")),
    Column("album_key", PlainText, nullable=False, server_default=text("''")),
    Column("words", PlainText, nullable=False, server_default=text("''")),
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
    Column("written_hash", Text),  # of our fields as they were written; NULL: the file holds none of ours
    Column("written_at", BigInteger),
    Column("write_error", Text),
    Column("write_failures", Integer, nullable=False, server_default="0"),
    Column("calibration", Text),
    Column("hands_off", Boolean, nullable=False, server_default=false()),  # our tags were taken out on request
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
    # All that numbers of files are counted from; in this order each of the queue's is one range (store.queue).
    Index(
        "ix_library_files_state",
        "library_id",
        "missing_since",
        "set_aside",
        "needs_tagging",
        "needs_write",
        "analyzed_at",
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
    # Which file has waited longest.
    Index("ix_library_files_waiting", "updated_at", sqlite_where=text(TO_DO), postgresql_where=text(TO_DO)),
    Index("ix_library_files_audio_key", "audio_key"),
    # Which calibration the files' tags come from.
    Index(
        "ix_library_files_calibration",
        "library_id",
        "calibration",
        sqlite_where=text("written_hash IS NOT NULL AND missing_since IS NULL"),
        postgresql_where=text("written_hash IS NOT NULL AND missing_since IS NULL"),
    ),
    # The orders of store.search, each to be walked along, and what it looks through without touching the wide rows.
    *(
        Index(
            f"ix_library_files_by_{name}",
            *columns,
            sqlite_where=text("missing_since IS NULL"),
            postgresql_where=text("missing_since IS NULL"),
        )
        for name, columns in {
            "artist": ("artist_key", "album_key", "disc", "track", "id"),
            "album": ("album_key", "disc", "track", "id"),
            "title": ("title_key", "id"),
            "analyzed": ("analyzed_at", "id"),
            "words": ("words", "library_id", "missing_since"),
        }.items()
    ),
    Index("ix_library_files_updated_at", "updated_at"),
    sqlite_autoincrement=True,  # an id of a purged file never means another file
)

score_packs = Table(
    "score_packs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pack", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("backbone", Text, nullable=False, server_default=text("''")),  # the network that listened
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

# What the score matrix in a process's memory has to read again; kept by triggers, see the migration. Without a foreign
# key, for deletions count as changes. One row for each row that changes, so that a trigger never waits for another.
score_changes = Table(
    "score_changes",
    metadata,
    Column("file_id", Integer, primary_key=True, autoincrement=False),
    Column("pack_id", Integer, primary_key=True, autoincrement=False),  # 0: the file itself came, went or moved
    Column("stamp", BigInteger, nullable=False, index=True),  # SQLite: counts up; PostgreSQL: the transaction's id
    sqlite_with_rowid=False,
)

calibrations = Table(
    "calibrations",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("library_id", ForeignKey("libraries.id", ondelete="CASCADE")),  # NULL: all libraries
    Column("library_size", Integer, nullable=False),  # files it was counted from
    Column("global_version", Text, nullable=False),  # equal for equal percentiles
    Column("drift", Float),  # NULL: there was none before
    Column("note", Text),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # a version never means another calibration
)

calibration_heads = Table(
    "calibration_heads",
    metadata,
    Column("version", ForeignKey("calibrations.version", ondelete="CASCADE"), primary_key=True),
    Column("head_key", Text, primary_key=True),  # <backbone>:<head>
    Column("pack", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("head_name", Text, nullable=False),
    Column("p5", Float, nullable=False),
    Column("p95", Float, nullable=False),
    Column("n", Integer, nullable=False),
    Column("underflow", Integer, nullable=False),
    Column("overflow", Integer, nullable=False),
    Column("drift", Float),
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

# What people settled about moods. Without a foreign key: it outlives the file's row, and comes back with the sound.
corrections = Table(
    "corrections",
    metadata,
    Column("file_id", Integer, primary_key=True, autoincrement=False),
    Column("audio_hash", Text, index=True),  # NULL: not listened to yet
    Column("moods", Text, nullable=False),  # JSON: mood -> tier, 0 for "not this one"
    Column("kept", Text),  # JSON: the words of a locked file; NULL: not locked
    Column("updated_at", BigInteger, nullable=False),
)

file_tags = Table(
    "file_tags",
    metadata,
    Column("file_id", ForeignKey("library_files.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", PlainText, nullable=False),
    Column("position", Integer, nullable=False, server_default="0"),  # among the tag's values: 0 once a file
    Column("value", PlainText, nullable=False),
    Index("ix_file_tags_name_value", "name", "value", "file_id", "position"),
)

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file_id", ForeignKey("library_files.id", ondelete="SET NULL"), index=True),
    Column("path", Text, nullable=False),
    Column("batch", Text, nullable=False, index=True),
    Column("action", Text, nullable=False),
    Column("before_json", Text, nullable=False),  # our fields as they were, which undo brings back
    Column("after_hash", Text, nullable=False),  # of our fields as they were written
    Column("audio_hash", Text),
    Column("size", BigInteger),  # NULL: about to be written; a crash may have come before or after
    Column("mtime_ns", BigInteger),
    Column("at", BigInteger, nullable=False),
    Column("undone_at", BigInteger),
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

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("scope", Text, nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    CheckConstraint("scope IN ('read', 'enqueue', 'admin')", name="scope"),
    sqlite_autoincrement=True,
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
    Column("files", Integer, nullable=False, server_default="0"),  # done since it started
    Column("rate_per_minute", Float),
    Column("memory_bytes", BigInteger),
    Column("trouble", Text),  # what keeps it from working, or from writing
)

# What all workers together have done since the tables were made; each adds to it with its heartbeat.
counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Float, nullable=False),
)

# Places that somebody spoke of, to be looked at when nothing more is heard of their folder.
announcements = Table(
    "announcements",
    metadata,
    Column("library_id", ForeignKey("libraries.id", ondelete="CASCADE"), primary_key=True),
    Column("path", PlainText, primary_key=True),  # relative to the library's root, "" for the root itself
    Column("album", PlainText, nullable=False),  # what is waited for together: a file's folder
    Column("is_tree", Boolean, nullable=False),  # with all that lies below
    Column("is_promised", Boolean, nullable=False),  # a file that should be there, and that somebody wants analysed
    Column("seen", Text),  # as it was at the last look
    Column("first_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False, index=True),
)

# What one process in the cluster does for all.
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

# Navidrome's ids of our files, found out by looking at both; a generation is one such look.
navidrome_songs = Table(
    "navidrome_songs",
    metadata,
    Column("file_id", ForeignKey("library_files.id", ondelete="CASCADE"), primary_key=True),
    Column("song_id", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
)

navidrome_playlists = Table(
    "navidrome_playlists",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account", Text, nullable=False),  # user@url
    Column("name", Text, nullable=False),  # by which it was pushed; people may have renamed it since
    Column("kind", Text, nullable=False),
    Column("navidrome_id", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("seen", Text, nullable=False),  # a hash of what Navidrome held right after it was pushed
    Column("tracks", Integer, nullable=False),
    Column("pushed_at", BigInteger, nullable=False),
    UniqueConstraint("account", "name"),
    CheckConstraint("kind IN ('rules', 'list')", name="kind"),
    sqlite_autoincrement=True,
)

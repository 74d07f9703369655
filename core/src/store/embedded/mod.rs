//! The embedded store: SQLite, one file, no server.

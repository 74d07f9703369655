//! The table: made at the first use, or taken as it is found.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_postgres::types::Type;
use vconductor_core::{Error, Result};

use super::server::{Lent, Server};

/// The columns of vcon-server, with the types that we rely on.
const COLUMNS: [(&str, Option<&str>); 7] = [
    ("id", Some("uuid")),
    ("vcon", None),
    ("uuid", Some("uuid")),
    ("created_at", Some("timestamp without time zone")),
    ("updated_at", None),
    ("subject", None),
    ("vcon_json", Some("jsonb")),
];
/// Ours.
const ADDED: [&str; 2] = ["revision", "original"];

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No table.
    Nothing,
    /// A table that lacks our columns.
    Foreign,
    /// All that is needed.
    Ours,
}

pub(super) struct Table {
    /// The name, quoted.
    pub(super) name: String,
    complete: AtomicBool,
}

impl Table {
    pub(super) fn new(name: &str) -> Self {
        Table { name: format!("\"{}\"", name.replace('"', "\"\"")), complete: AtomicBool::new(false) }
    }

    /// Forgets what is known, because the server says that it changed.
    pub(super) fn forget(&self) {
        self.complete.store(false, Ordering::Relaxed);
    }

    /// Looks, and changes nothing: whoever only reads needs no right to more.
    pub(super) async fn look(&self, client: &Lent<'_>) -> Result<Found> {
        if self.complete.load(Ordering::Relaxed) {
            return Ok(Found::Ours);
        }
        let statement = "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute \
                         WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
        let rows = client.answer(client.query_typed(statement, &[(&self.name, Type::TEXT)])).await?;
        let columns: BTreeMap<&str, &str> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        if columns.is_empty() {
            return Ok(Found::Nothing);
        }
        for (name, needed) in COLUMNS {
            let wrong = match (columns.get(name), needed) {
                (None, _) => "is not there".to_owned(),
                (Some(found), Some(needed)) if *found != needed => format!("is {found}, not {needed}"),
                _ => continue,
            };
            return Err(Error::configuration(format!("table {}: column `{name}` {wrong}", self.name)).help(
                "the table was made by another program; choose another name in option `table_name`, or mend the column",
            ));
        }
        let complete = ADDED.iter().all(|name| columns.contains_key(name));
        self.complete.store(complete, Ordering::Relaxed);
        Ok(if complete { Found::Ours } else { Found::Foreign })
    }

    /// Makes the table, or adds what it lacks.
    pub(super) async fn complete(&self, client: &Lent<'_>, server: &Server) -> Result<()> {
        if self.look(client).await? == Found::Ours {
            return Ok(());
        }
        let made = self.make(client).await;
        if made.is_err() {
            // The connection may be in the middle of a transaction; what went wrong is known already.
            client.answer(client.batch_execute("ROLLBACK")).await.ok();
        }
        made.map_err(|error| error.within(format_args!("table {} on {}", self.name, server.place())))
    }

    /// Processes that start at once do this one after the other. Whoever holds the table for long is not waited for, as
    /// all others would wait behind us.
    async fn make(&self, client: &Lent<'_>) -> Result<()> {
        let alone = "BEGIN; SET LOCAL lock_timeout = '3s'; SELECT pg_advisory_xact_lock(hashtext('vconductor'))";
        client.answer(client.batch_execute(alone)).await?;
        match self.look(client).await? {
            Found::Ours => {}
            Found::Foreign => client.answer(client.batch_execute(&self.addition())).await?,
            Found::Nothing => client.answer(client.batch_execute(&self.creation())).await?,
        }
        client.answer(client.batch_execute("COMMIT")).await
    }

    /// The indexes get no names from us, so that PostgreSQL finds free ones: an index of the same name on another table
    /// is no reason to have none here.
    fn creation(&self) -> String {
        format!(
            r#"CREATE TABLE {table} (
                 "id" UUID NOT NULL PRIMARY KEY,
                 "vcon" TEXT NOT NULL,
                 "uuid" UUID NOT NULL,
                 "created_at" TIMESTAMP NOT NULL,
                 "updated_at" TIMESTAMP,
                 "subject" TEXT,
                 "vcon_json" JSONB,
                 "revision" BIGINT,
                 "original" TEXT
               );
               CREATE INDEX ON {table} USING GIN ("vcon_json");
               CREATE INDEX ON {table} ("created_at", "id")"#,
            table = self.name
        )
    }

    /// Changes the catalogue only, not the rows.
    fn addition(&self) -> String {
        format!(
            r#"ALTER TABLE {} ADD COLUMN IF NOT EXISTS "revision" BIGINT, ADD COLUMN IF NOT EXISTS "original" TEXT"#,
            self.name
        )
    }
}

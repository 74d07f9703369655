//! `storage.postgres`: a table of a PostgreSQL database, the one that vcon-server writes.
#![cfg(feature = "postgres")]

mod fault;
mod options;
mod server;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod write;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_postgres::types::Type;
use uuid::Uuid;
use vconductor_core::plugin::{Capabilities, ListPage, ListQuery, SaveItem, Storage, StoragePlugin};
use vconductor_core::{Error, Result, register_storage};

use options::Options;
use server::Server;
use table::{Found, Table};
use write::column_time;

struct Postgres {
    server: Server,
    table: Table,
}

register_storage!(Postgres);

impl StoragePlugin for Postgres {
    const MODULE: &'static str = "storage.postgres";
    const EXAMPLE: &'static str = "database:\n  module: storage.postgres\n  options:\n    \
                                   url: postgres://vcons:secret@db.example.com:5432/vcon_db?sslmode=verify-full\n    \
                                   table_name: vcons\n";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let server = Server::new(options.target()?, options.timeout()?, options.connections()?);
        Ok(Postgres { server, table: Table::new(options.table()?) })
    }
}

#[async_trait]
impl Storage for Postgres {
    /// Not lossless: JSONB keeps values, not their spelling.
    fn capabilities(&self) -> Capabilities {
        Capabilities { lossless: false, read: true, delete: true, list: true, revisions: true }
    }

    async fn save(&self, item: &SaveItem) -> Result<()> {
        self.save_many(std::slice::from_ref(item)).await.pop().unwrap_or(Ok(()))
    }

    async fn save_many(&self, items: &[SaveItem]) -> Vec<Result<()>> {
        write::save(&self.server, &self.table, items).await
    }

    async fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        let Ok(id) = Uuid::try_parse(uuid) else { return Ok(None) };
        let client = self.server.lend().await?;
        let original = match self.table.look(&client).await? {
            Found::Nothing => return Ok(None),
            Found::Foreign => "NULL",
            Found::Ours => r#""original""#,
        };
        let table = &self.table.name;
        let statement = format!(r#"SELECT "vcon_json"::text, {original}::text FROM {table} WHERE "id" = $1"#);
        let row =
            client.answer(client.query_typed_opt(&statement, &[(&id, Type::UUID)])).await.inspect_err(|error| {
                if fault::is_of_changed_table(error) {
                    self.table.forget();
                }
            })?;
        let Some(row) = row else { return Ok(None) };
        let held: Option<String> = row.try_get(0).map_err(|error| fault::fault(self.server.place(), error))?;
        let original: Option<String> = row.try_get(1).map_err(|error| fault::fault(self.server.place(), error))?;
        let (Some(held), Some(original)) = (&held, original) else { return Ok(held.map(Bytes::from)) };
        // A program that does not know the column may have written the other one since.
        let made = source::for_jsonb(original.as_bytes());
        let made = std::str::from_utf8(&made).unwrap_or_default();
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(held, Type::TEXT), (&made, Type::TEXT)];
        let same = client.answer(client.query_typed_one("SELECT $1::jsonb = $2::jsonb", &parameters)).await?;
        Ok(Some(if same.get(0) { Bytes::from(original) } else { Bytes::from(held.clone()) }))
    }

    async fn delete(&self, uuid: &str) -> Result<bool> {
        let Ok(id) = Uuid::try_parse(uuid) else { return Ok(false) };
        let client = self.server.lend().await?;
        if self.table.look(&client).await? == Found::Nothing {
            return Ok(false);
        }
        let statement = format!(r#"DELETE FROM {} WHERE "id" = $1"#, self.table.name);
        client.answer(client.execute_typed(&statement, &[(&id, Type::UUID)])).await.map(|rows| rows > 0)
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPage> {
        let cursor = query.cursor.as_deref().map(read_cursor).transpose()?;
        let (after, after_id) = cursor.unwrap_or(("-infinity", Uuid::nil()));
        let client = self.server.lend().await?;
        if self.table.look(&client).await? == Found::Nothing {
            return Ok(ListPage::default());
        }
        let since = query.since.map_or_else(|| "-infinity".to_owned(), column_time);
        let until = query.until.map_or_else(|| "infinity".to_owned(), column_time);
        let limit = query.limit.max(1);
        let rows = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let statement = format!(
            r#"SELECT "id", to_char("created_at", 'YYYY-MM-DD HH24:MI:SS.US') FROM {}
               WHERE ("created_at", "id") > ($1::timestamp, $2) AND "created_at" >= $3::timestamp
                 AND "created_at" < $4::timestamp
               ORDER BY "created_at", "id" LIMIT $5"#,
            self.table.name
        );
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 5] = [
            (&after, Type::TEXT),
            (&after_id, Type::UUID),
            (&since, Type::TEXT),
            (&until, Type::TEXT),
            (&rows, Type::INT8),
        ];
        let rows = client.answer(client.query_typed(&statement, &parameters)).await?;
        let page = rows.get(..limit).unwrap_or(&rows);
        let last = page.last().filter(|_| rows.len() > limit);
        let cursor = last.map(|row| format!("{}|{}", row.get::<_, String>(1), row.get::<_, Uuid>(0)));
        Ok(ListPage { uuids: page.iter().map(|row| row.get::<_, Uuid>(0).to_string()).collect(), cursor })
    }

    /// Writes a vCon in a transaction that is taken back.
    async fn health(&self) -> Result<()> {
        let client = self.server.lend().await?;
        self.table.complete(&client, &self.server).await?;
        write::probe(&client, &self.table).await
    }
}

/// Where the last page ended: the time with microseconds, and the id.
fn read_cursor(cursor: &str) -> Result<(&str, Uuid)> {
    let parts = cursor.split_once('|').and_then(|(time, id)| Some((time, Uuid::try_parse(id).ok()?)));
    parts.filter(|(time, _)| time.bytes().all(|byte| byte.is_ascii_digit() || b"- :.".contains(&byte))).ok_or_else(
        || {
            Error::permanent("this cursor did not come from this storage")
                .help("start without a cursor, and pass on the one of the last page unchanged")
        },
    )
}

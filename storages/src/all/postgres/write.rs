//! Saving: a batch is one statement; where the server refuses a document, that document alone is refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error as StdError;

use bytes::{BufMut as _, Bytes, BytesMut};
use jiff::Timestamp;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;
use vconductor_core::plugin::SaveItem;
use vconductor_core::{Error, Result};

use super::fault::{is_of_changed_table, is_of_data};
use super::server::{Lent, Server};
use super::source::for_jsonb;
use super::table::Table;

/// Bytes of documents in one statement; one document always fits.
const STATEMENT: usize = 8 << 20;
/// The year 1, before which the server writes years otherwise.
const YEAR_1: i64 = -62_135_596_800_000;

/// One row on its way.
pub(super) struct Row {
    /// Positions among the items: that of this revision, and those of older ones of the same vCon.
    positions: Vec<usize>,
    id: Uuid,
    version: String,
    created_at: String,
    subject: Option<String>,
    document: Bytes,
    revision: i64,
}

/// A document in the binary form of JSONB: the format's version, then the text.
#[derive(Debug)]
struct Jsonb<'a>(Cow<'a, [u8]>);

impl ToSql for Jsonb<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.put_u8(1);
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(wanted: &Type) -> bool {
        *wanted == Type::JSONB
    }

    to_sql_checked!();
}

/// Writes vCons, as many as fit in one statement at a time; one result each.
pub(super) async fn save(server: &Server, table: &Table, items: &[SaveItem]) -> Vec<Result<()>> {
    let mut results: Vec<Result<()>> = items.iter().map(|_| Ok(())).collect();
    let rows = rows(items, &mut results);
    if rows.is_empty() {
        return results;
    }
    let written = async {
        let client = server.lend().await?;
        table.complete(&client, server).await?;
        Ok(client)
    };
    let client = match written.await {
        Ok(client) => client,
        Err(error) => {
            rows.iter().for_each(|row| refuse(row, &error, &mut results));
            return results;
        }
    };
    let mut rest = &rows[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest));
        write(&client, table, now, &mut results).await;
        rest = later;
    }
    results
}

/// Tries all that a save needs, and takes it back.
pub(super) async fn probe(client: &Lent<'_>, table: &Table) -> Result<()> {
    let row = Row {
        positions: Vec::new(),
        id: Uuid::new_v4(),
        version: String::new(),
        created_at: column_time(0),
        subject: None,
        document: Bytes::from_static(b"{}"),
        revision: 0,
    };
    client.answer(client.batch_execute("BEGIN")).await?;
    let written = upsert(client, table, &[row]).await;
    client.answer(client.batch_execute("ROLLBACK")).await?;
    written
}

/// One row for each vCon, in the order of their ids, so that two batches never wait for each other.
fn rows(items: &[SaveItem], results: &mut [Result<()>]) -> Vec<Row> {
    let mut rows: BTreeMap<Uuid, Row> = BTreeMap::new();
    for (position, item) in items.iter().enumerate() {
        match prepared(position, item) {
            Err(error) => results[position] = Err(error),
            Ok(mut row) => match rows.entry(row.id) {
                Entry::Vacant(free) => drop(free.insert(row)),
                Entry::Occupied(mut held) => {
                    if row.revision >= held.get().revision {
                        row.positions.append(&mut held.get_mut().positions);
                        held.insert(row);
                    } else {
                        held.get_mut().positions.push(position);
                    }
                }
            },
        }
    }
    rows.into_values().collect()
}

fn prepared(position: usize, item: &SaveItem) -> Result<Row> {
    let id = Uuid::try_parse(&item.uuid).map_err(|error| {
        Error::permanent(format!("`{}` is no uuid, and the table is keyed by uuids", item.uuid.escape_debug()))
            .caused_by(error)
            .help("give the vCon a uuid")
    })?;
    let revision = i64::try_from(item.revision)
        .map_err(|error| Error::permanent(format!("revision {} is out of range", item.revision)).caused_by(error))?;
    Ok(Row {
        positions: vec![position],
        id,
        version: text(item.vcon.version()).unwrap_or_default(),
        created_at: column_time(item.vcon.created_at().unwrap_or_else(Timestamp::now).as_millisecond()),
        subject: text(item.vcon.subject()),
        document: item.vcon.to_bytes(),
        revision,
    })
}

/// A text as a column takes it.
fn text(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(|text| text.replace('\0', "\u{fffd}"))
}

/// How many rows fit in one statement.
fn fitting(rows: &[Row]) -> usize {
    let mut bytes = 0;
    let all = rows.iter().take_while(|row| {
        bytes += row.document.len();
        bytes <= STATEMENT
    });
    all.count().max(1)
}

/// Writes rows; what the server refuses is looked for by halves.
async fn write(client: &Lent<'_>, table: &Table, rows: &[Row], results: &mut [Result<()>]) {
    let mut parts = vec![rows];
    while let Some(part) = parts.pop() {
        let Err(error) = upsert(client, table, part).await else { continue };
        if part.len() > 1 && is_of_data(&error) {
            let (one, other) = part.split_at(part.len() / 2);
            parts.extend([one, other]);
            continue;
        }
        if is_of_changed_table(&error) {
            table.forget();
        }
        part.iter().for_each(|row| refuse(row, &error, results));
    }
}

async fn upsert(client: &Lent<'_>, table: &Table, rows: &[Row]) -> Result<()> {
    let statement = format!(
        r#"INSERT INTO {} AS held
             ("id", "vcon", "uuid", "created_at", "updated_at", "subject", "vcon_json", "revision", "original")
           SELECT id, vcon, id, created_at::timestamp, now() AT TIME ZONE 'UTC', subject, vcon_json, revision, original
           FROM unnest($1, $2, $3, $4, $5, $6, $7)
             AS new (id, vcon, created_at, subject, vcon_json, revision, original)
           ON CONFLICT ("id") DO UPDATE SET "vcon" = excluded."vcon", "uuid" = excluded."uuid",
             "created_at" = excluded."created_at", "updated_at" = excluded."updated_at",
             "subject" = excluded."subject", "vcon_json" = excluded."vcon_json",
             "revision" = excluded."revision", "original" = excluded."original"
           WHERE held."revision" IS NULL OR held."revision" <= excluded."revision""#,
        table.name
    );
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let versions: Vec<&str> = rows.iter().map(|row| row.version.as_str()).collect();
    let times: Vec<&str> = rows.iter().map(|row| row.created_at.as_str()).collect();
    let subjects: Vec<Option<&str>> = rows.iter().map(|row| row.subject.as_deref()).collect();
    let documents: Vec<Jsonb<'_>> = rows.iter().map(|row| Jsonb(for_jsonb(&row.document))).collect();
    let revisions: Vec<i64> = rows.iter().map(|row| row.revision).collect();
    let originals: Vec<Option<&str>> = rows
        .iter()
        .zip(&documents)
        .map(|(row, held)| matches!(held.0, Cow::Owned(_)).then(|| std::str::from_utf8(&row.document).ok()).flatten())
        .collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
        (&ids, Type::UUID_ARRAY),
        (&versions, Type::TEXT_ARRAY),
        (&times, Type::TEXT_ARRAY),
        (&subjects, Type::TEXT_ARRAY),
        (&documents, Type::JSONB_ARRAY),
        (&revisions, Type::INT8_ARRAY),
        (&originals, Type::TEXT_ARRAY),
    ];
    // No row is changed where a newer revision is there.
    client.answer(client.execute_typed(&statement, &parameters)).await.map(drop)
}

fn refuse(row: &Row, error: &Error, results: &mut [Result<()>]) {
    for position in &row.positions {
        let copy = Error::new(error.class(), error.chain_text()).within(format_args!("vCon `{}`", row.id));
        results[*position] = Err(match error.help_text() {
            Some(help) => copy.help(help),
            None => copy,
        });
    }
}

/// A time as the server reads it.
pub(super) fn column_time(millis: i64) -> String {
    let time = Timestamp::from_millisecond(millis.max(YEAR_1)).unwrap_or(Timestamp::MAX);
    format!("{time:.3}").replace('T', " ").trim_end_matches('Z').to_owned()
}

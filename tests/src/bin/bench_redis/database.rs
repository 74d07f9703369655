//! Storages on a database server, beside the same batched writes sent bare: so many connections as the engine has writers,
//! batches of the same size, the table or collection that vcon-server makes, every commit on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mongodb::bson::{Document, doc};
use tokio_postgres::NoTls;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;
use vconductor_tests::servers::mongo::MongoServer;
use vconductor_tests::servers::postgres::PostgresServer;

use crate::load::{Outcome, document, uuid};

const BATCH: usize = 64;
const WRITERS: usize = 4;

/// What vcon-server's mapper makes.
const TABLE: &str = r#"CREATE TABLE "vcons" ("id" UUID NOT NULL PRIMARY KEY, "vcon" TEXT NOT NULL, "uuid" UUID NOT NULL,
    "created_at" TIMESTAMP NOT NULL, "updated_at" TIMESTAMP, "subject" TEXT, "vcon_json" JSONB);
    CREATE INDEX "dynamicvcons_vcon_json" ON "vcons" USING GIN ("vcon_json")"#;
const UPSERT: &str = r#"INSERT INTO "vcons" ("id", "vcon", "uuid", "created_at", "updated_at", "subject", "vcon_json")
    SELECT id, '0.4.0', id, '2026-01-02T03:04:05', now(), NULL, vcon_json FROM unnest($1, $2) AS new (id, vcon_json)
    ON CONFLICT ("id") DO UPDATE SET "vcon" = excluded."vcon", "uuid" = excluded."uuid",
      "created_at" = excluded."created_at", "updated_at" = excluded."updated_at", "subject" = excluded."subject",
      "vcon_json" = excluded."vcon_json""#;

/// Numbers of the next batch; `None` when all are taken.
fn next(taken: &AtomicUsize, count: usize) -> Option<std::ops::Range<usize>> {
    let start = taken.fetch_add(BATCH, Ordering::Relaxed);
    (start < count).then(|| start..count.min(start + BATCH))
}

/// Rows a second.
pub(crate) async fn postgres(server: &PostgresServer, count: usize, size: usize) -> Outcome<f64> {
    server.psql(TABLE);
    let taken = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (taken, url) = (Arc::clone(&taken), server.url());
        writers.spawn(async move {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            let connection = tokio::spawn(connection);
            while let Some(batch) = next(&taken, count) {
                let ids: Vec<Uuid> = batch.clone().map(|number| uuid(number).parse()).collect::<Result<_, _>>()?;
                let documents: Vec<Jsonb> = batch.map(|number| Jsonb(document(number, size))).collect();
                let parameters: [(&(dyn ToSql + Sync), Type); 2] =
                    [(&ids, Type::UUID_ARRAY), (&documents, Type::JSONB_ARRAY)];
                client.execute_typed(UPSERT, &parameters).await?;
            }
            connection.abort();
            Outcome::Ok(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

/// A document in the binary form of JSONB.
#[derive(Debug)]
struct Jsonb(Vec<u8>);

impl ToSql for Jsonb {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&[1]);
        out.extend_from_slice(&self.0);
        Ok(tokio_postgres::types::IsNull::No)
    }

    fn accepts(wanted: &Type) -> bool {
        *wanted == Type::JSONB
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Documents a second, inserted as the storage inserts those that are new.
pub(crate) async fn mongo(server: &MongoServer, count: usize, size: usize) -> Outcome<f64> {
    let client = server.client().await;
    let taken = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (taken, database) = (Arc::clone(&taken), client.database("conserver"));
        writers.spawn(async move {
            while let Some(batch) = next(&taken, count) {
                let documents: Vec<Document> = batch
                    .map(|number| {
                        let mut document: Document = serde_json::from_slice(&document(number, size))?;
                        document.insert("_id", uuid(number));
                        Outcome::Ok(document)
                    })
                    .collect::<Outcome<_>>()?;
                database.run_command(doc! {"insert": "vcons", "documents": documents, "ordered": false}).await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

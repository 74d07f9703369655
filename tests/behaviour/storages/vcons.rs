//! vCons for the cases.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;
use vconductor_core::plugin::SaveItem;
use vconductor_core::vcon::Vcon;

/// A uuid that no other case uses.
pub(crate) fn new_uuid() -> String {
    Uuid::now_v7().to_string()
}

/// A save of a document.
pub(crate) fn item(uuid: &str, revision: u64, text: String) -> SaveItem {
    let vcon = Vcon::read(text).expect("a vCon");
    SaveItem { uuid: uuid.to_owned(), revision, vcon: Arc::new(vcon), effect_id: format!("{uuid}-{revision}") }
}

/// A save of a small vCon that tells its revision.
pub(crate) fn small(uuid: &str, revision: u64) -> SaveItem {
    created(uuid, revision, "2026-09-10T14:00:00Z")
}

/// A save of a small vCon with this `created_at`.
pub(crate) fn created(uuid: &str, revision: u64, created_at: &str) -> SaveItem {
    item(uuid, revision, whole(uuid, created_at, json!({"subject": format!("revision {revision}")})).to_string())
}

/// A vCon with more members.
pub(crate) fn whole(uuid: &str, created_at: &str, more: Value) -> Value {
    let mut vcon = json!({
        "vcon": "0.4.0", "uuid": uuid, "created_at": created_at,
        "parties": [{"tel": "+4930123456", "name": "Jörg"}], "dialog": [], "analysis": [], "attachments": []
    });
    if let (Value::Object(vcon), Value::Object(more)) = (&mut vcon, more) {
        vcon.extend(more);
    }
    vcon
}

/// What JSON rewriting would change: white space, member order, names that occur twice, number spelling, escapes.
pub(crate) fn odd(uuid: &str) -> String {
    format!(
        "\n{{ \"zz\" : 1e3,\t\"uuid\":\"{uuid}\",\"created_at\":\"2026-09-10T23:30:00.000-05:00\", \"a\":1.0, \"a\":-0, \
         \"big\":123456789012345678901234567890.10, \"e\":\"\\u00e9\\/\\ud83d\\ude00\", \"parties\":[ ],\"appended\":null,\
         \"vcon\":\"0.0.1\" }}\r\n"
    )
}

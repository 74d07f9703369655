//! Attachments.

use super::content::{self, Mediatype};
use super::date;
use super::object::Object;

pub(super) fn migrate(mut object: Object<'_>) {
    object.drop_nulls(&["purpose", "type", "start", "party", "dialog"]);
    // With both, `type` may say something else.
    if object.value("purpose").is_none() && object.text("type").is_some() {
        object.renamed("type", "purpose", "4.4.1", "core-02");
    }
    date::respell(&mut object, "start");
    content::migrate(&mut object, Mediatype::Demanded);
    let missing: Vec<_> =
        ["start", "party", "dialog"].into_iter().filter(|name| object.value(name).is_none()).collect();
    if let Some(first) = missing.first() {
        let names = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        object.keep(
            first,
            format!("the draft demands {names}, which nobody wrote down; the attachment belongs to the whole vCon"),
        );
    }
}

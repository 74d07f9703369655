//! Analyses.

use super::content::{self, Mediatype};
use super::object::Object;
use crate::document::{Json, Kind};

const NAMES: [&str; 8] =
    ["type", "dialog", "attachment", "vendor", "product", "schema", "vendor_schema", "vendor_product"];

pub(super) fn migrate(mut object: Object<'_>) {
    object.drop_nulls(&NAMES);
    let is_free = object.value("body").is_none() && object.value("url").is_none();
    // What the encoding says of the body must be right for the transcript, too.
    let fits =
        object.value("encoding").is_none_or(|view| view.as_str().is_some_and(|text| matches!(&*text, "json" | "none")));
    if object.value("transcript").is_some() && is_free && fits {
        object.rename("transcript", "body");
        object.because("transcript", "4.5.9", "the content is in `body` since the first draft");
    }
    schema(&mut object, "schema_version");
    schema(&mut object, "vendor_schema");
    if object.text("vendor_product").is_some() {
        object.renamed("vendor_product", "product", "4.5.7", "0.0.2");
    }
    whisper(&mut object);
    content::migrate(&mut object, Mediatype::Advised);
}

/// `schema` is a string; what was an object becomes its JSON text.
fn schema(object: &mut Object<'_>, old: &'static str) {
    let Some(value) = object.value(old) else { return };
    match value.kind() {
        Kind::String => object.renamed(old, "schema", "4.5.8", "0.0.2"),
        Kind::Object | Kind::Array if object.value("schema").is_none() => {
            let text = Json::string(&value.text());
            object.set("schema", text);
            object.remove(old);
            object.because(old, "4.5.8", format!("`{old}` is called `schema` since 0.0.2, and is a string"));
        }
        _ => object.keep(old, "`schema` cannot hold it"),
    }
}

/// Older transcripts name the model as their vendor.
fn whisper(object: &mut Object<'_>) {
    let Some(vendor) = object.text("vendor").map(|vendor| vendor.into_owned()) else { return };
    let is_transcript = object.text("type").is_some_and(|kind| kind == "transcript");
    if is_transcript && vendor.eq_ignore_ascii_case("whisper") && object.value("product").is_none() {
        object.set("product", Json::string(&vendor));
        object.set("vendor", Json::string("openai"));
        object.because("vendor", "4.5.6", "Whisper is a product; its vendor is OpenAI");
    }
}

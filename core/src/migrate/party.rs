//! Parties.

use super::object::Object;

const NAMES: [&str; 14] = [
    "tel",
    "sip",
    "stir",
    "mailto",
    "name",
    "did",
    "validation",
    "gmlpos",
    "civicaddress",
    "uuid",
    "type",
    "org",
    "dept",
    "email",
];

/// Members that were taken out of the draft; a party may still have them, as any unknown member.
const WITHDRAWN: [&str; 2] = ["jCard", "timezone"];

pub(super) fn migrate(mut object: Object<'_>) {
    object.drop_nulls(&NAMES);
    if object.text("email").is_some() {
        object.renamed("email", "mailto", "4.2.4", "the first draft");
    }
    for name in WITHDRAWN {
        if object.value(name).is_some() {
            object.keep(name, "the draft has no such member since core-02");
        }
    }
}

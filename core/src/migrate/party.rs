//! Parties.

use super::object::Object;
use crate::vcon::members::PARTY;

/// Members that were taken out of the draft; a party may still have them, as any unknown member.
const WITHDRAWN: [&str; 2] = ["jCard", "timezone"];

pub(super) fn migrate(mut object: Object<'_>) {
    object.drop_nulls(&PARTY);
    object.drop_nulls(&["email"]);
    if object.text("email").is_some() {
        object.renamed("email", "mailto", "4.2.4", "the first draft");
    }
    for name in WITHDRAWN {
        if object.value(name).is_some() {
            object.keep(name, "the draft has no such member since core-02");
        }
    }
}

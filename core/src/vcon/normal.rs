//! vcon-server's read normaliser, on a copy.

use serde_json::{Map, Value};

use super::entry::{ATTACHMENT, CONTENT, Renames, TOP_LEVEL};
use crate::document::View;

/// The value with older member names replaced (vcon-server contract, 8.1). What is no object or array is left alone.
pub(super) fn normalised(root: View<'_>) -> Value {
    let mut value = root.to_value();
    let Value::Object(top) = &mut value else { return value };
    rename(top, TOP_LEVEL);
    for (name, renames) in [("dialog", CONTENT), ("analysis", CONTENT), ("attachments", ATTACHMENT)] {
        let Some(Value::Array(elements)) = top.get_mut(name) else { continue };
        elements.iter_mut().filter_map(Value::as_object_mut).for_each(|entry| rename(entry, renames));
    }
    value
}

fn rename(members: &mut Map<String, Value>, renames: Renames) {
    for (newer, older) in renames {
        // An attachment's `type` may mean something else than its purpose when both are there.
        if *older == "type" && members.contains_key(*newer) {
            continue;
        }
        if let Some(value) = members.shift_remove(*older)
            && !members.contains_key(*newer)
        {
            members.insert((*newer).to_owned(), value);
        }
    }
}

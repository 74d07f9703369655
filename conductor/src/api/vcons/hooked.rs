//! What hooks are told of vCons that come and go. Nobody waits for them, and one that panics harms nobody else.

use std::sync::Arc;

use super::check::Checked;
use crate::api::Context;

/// vCons were taken in.
pub(super) fn created(context: &Context, checked: &[Checked], lists: &[String]) {
    if context.hooks.is_empty() {
        return;
    }
    let (hooks, lists) = (Arc::clone(&context.hooks), lists.to_vec());
    let vcons: Vec<_> = checked.iter().map(|checked| (checked.uuid.clone(), checked.text.clone())).collect();
    tokio::spawn(async move {
        for (uuid, document) in &vcons {
            for hook in &*hooks {
                hook.vcon_created(uuid, document, &lists).await;
            }
        }
    });
}

/// A vCon was deleted.
pub(super) fn deleted(context: &Context, uuid: String) {
    let hooks = Arc::clone(&context.hooks);
    if hooks.is_empty() {
        return;
    }
    tokio::spawn(async move {
        for hook in &*hooks {
            hook.vcon_deleted(&uuid).await;
        }
    });
}

//! The Lua scripts. They see keys, revisions and index entries; documents never pass through Lua.

use std::sync::LazyLock;

use redis::{Cmd, cmd};

/// A script and its hash.
pub(super) struct Script {
    body: &'static str,
    hash: LazyLock<String>,
}

macro_rules! script {
    ($name:ident, $file:literal) => {
        pub(super) static $name: Script = Script {
            body: include_str!($file),
            hash: LazyLock::new(|| redis::Script::new(include_str!($file)).get_hash().to_owned()),
        };
    };
}

script!(SAVE, "lua/save.lua");
script!(DELETE, "lua/delete.lua");
script!(FORGET, "lua/forget.lua");

impl Script {
    /// A call by hash, which the server may have forgotten.
    pub(super) fn call(&self, keys: &[String], arguments: &[&[u8]]) -> Cmd {
        filled(cmd("EVALSHA"), &self.hash, keys, arguments)
    }

    /// A call that brings the script along.
    pub(super) fn whole(&self, keys: &[String], arguments: &[&[u8]]) -> Cmd {
        filled(cmd("EVAL"), self.body, keys, arguments)
    }
}

fn filled(mut call: Cmd, script: &str, keys: &[String], arguments: &[&[u8]]) -> Cmd {
    call.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    call
}

//! The Lua scripts. They see ids and small records only; documents never pass through Lua.

use std::sync::LazyLock;

use redis::{Cmd, cmd};

/// A script and its hash.
#[derive(Debug)]
pub(super) struct Script {
    body: &'static str,
    hash: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident = $file:literal $(then $more:literal)?),* $(,)?) => {
        $(pub(super) static $name: Script = Script {
            body: concat!(include_str!($file) $(, include_str!($more))?),
            hash: LazyLock::new(|| redis::Script::new($name.body).get_hash().to_owned()),
        };)*
        /// All of them, to be loaded when a connection is made.
        pub(super) static ALL: &[&Script] = &[$(&$name),*];
    };
}

scripts! {
    ADOPT = "lua/adopt.lua",
    ADOPT_LETTERS = "lua/adopt_letters.lua",
    BEGIN = "lua/new_run.lua" then "lua/begin.lua",
    CLAIM = "lua/claim.lua",
    COUNT = "lua/count.lua",
    DOUBT = "lua/doubt.lua",
    END = "lua/end.lua",
    FORGET = "lua/forget.lua",
    HOLD = "lua/hold.lua",
    INGEST = "lua/ingest.lua",
    INGEST_OWNED = "lua/own.lua" then "lua/ingest.lua",
    KEEP = "lua/keep.lua",
    KIND = "lua/kind.lua",
    LEAVE = "lua/leave.lua",
    PROTECT = "lua/protect.lua",
    PUMP = "lua/pump.lua",
    RAISE = "lua/raise.lua",
    RECLAIM = "lua/reclaim.lua",
    REGISTER = "lua/register.lua",
    RESUME = "lua/resume.lua",
    RETAKE = "lua/new_run.lua" then "lua/retake.lua",
    REVISE = "lua/revise.lua",
    SETTLE = "lua/settle.lua",
    STATUS = "lua/status.lua",
    SWITCH = "lua/switch.lua",
    TAKE = "lua/take.lua",
    TRANSFER = "lua/transfer.lua",
}

impl Script {
    /// A call by hash. The server may have forgotten the script (restart, `SCRIPT FLUSH`): callers send
    /// [`Script::whole`] then.
    pub(super) fn call(&self, keys: &[&str]) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(self.hash.as_str()).arg(keys.len()).arg(keys);
        call
    }

    /// A call that brings the script along. Needed inside of transactions, where a forgotten script would
    /// leave a hole in what is applied.
    pub(super) fn whole(&self, keys: &[&str]) -> Cmd {
        let mut call = cmd("EVAL");
        call.arg(self.body).arg(keys.len()).arg(keys);
        call
    }

    /// Loads it into the server's cache.
    pub(super) fn load(&self) -> Cmd {
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(self.body);
        load
    }
}

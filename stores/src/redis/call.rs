//! One command, or one run of a script, as it is sent.

use std::sync::LazyLock;

use ::redis::{Cmd, Script as Hashed};
use bytes::Bytes;

/// A script that the server runs without anything between its steps.
pub(crate) struct Script {
    code: &'static str,
    hash: LazyLock<Hashed>,
}

macro_rules! script {
    ($name:ident, $($file:literal),+) => {
        pub(crate) static $name: Script = Script {
            code: concat!($(include_str!($file)),+),
            hash: LazyLock::new(|| Hashed::new($name.code)),
        };
    };
}

script!(SET, "lua/replace.lua", "lua/write.lua", "lua/set.lua");
script!(DELETE, "lua/write.lua", "lua/delete.lua");
script!(INCREMENT, "lua/write.lua", "lua/increment.lua");
script!(SWAP, "lua/write.lua", "lua/swap.lua");
script!(GET, "lua/get.lua");
script!(LIST, "lua/list.lua");
script!(USAGE, "lua/usage.lua");
script!(PLACE, "lua/place.lua");

/// What a call runs.
pub(crate) enum Run {
    /// One command.
    Command(&'static str),
    /// A script, by its hash if the server knows it.
    Script(&'static Script),
}

/// See the module.
pub(crate) struct Call {
    pub(crate) run: Run,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) args: Vec<Bytes>,
    /// About how many bytes the answer may have.
    pub(crate) answer: usize,
}

impl Call {
    /// Bytes that it sends, about.
    pub(crate) fn bytes(&self) -> usize {
        let keys: usize = self.keys.iter().map(Vec::len).sum();
        keys + self.args.iter().map(Bytes::len).sum::<usize>()
    }

    /// How much it holds up what shares its connection.
    pub(crate) fn weight(&self) -> usize {
        1 + (self.bytes() + self.answer) / (16 * 1024)
    }

    /// As it is sent first.
    pub(crate) fn command(&self) -> Cmd {
        match self.run {
            Run::Command(name) => {
                let mut command = Cmd::new();
                command.arg(name);
                self.finish(command)
            }
            Run::Script(script) => self.evaluate("EVALSHA", script.hash.get_hash()),
        }
    }

    /// As it is sent to a server that does not know the script, which then will: a restart and a change
    /// of the primary forget it.
    pub(crate) fn whole_command(&self) -> Cmd {
        match self.run {
            Run::Command(_) => self.command(),
            Run::Script(script) => self.evaluate("EVAL", script.code),
        }
    }

    fn evaluate(&self, how: &str, script: &str) -> Cmd {
        let mut command =
            Cmd::with_capacity(3 + self.keys.len() + self.args.len(), self.bytes() + 64);
        command.arg(how).arg(script).arg(self.keys.len());
        self.finish(command)
    }

    fn finish(&self, mut command: Cmd) -> Cmd {
        for key in &self.keys {
            command.arg(key.as_slice());
        }
        for arg in &self.args {
            command.arg(&arg[..]);
        }
        command
    }
}

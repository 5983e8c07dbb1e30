//! Which server has a Store: the one of the URL, or what that one says if it is of a cluster.

use std::{collections::HashMap, ops::Add, sync::Arc};

use parking_lot::Mutex;

use super::{options::Server, pool::Pool};
use crate::{Connections, StoreId};

/// Slots of every cluster.
const SLOTS: u16 = 16384;
/// Servers that are remembered. No cluster has more.
const MAX_NODES: usize = 1000;

/// The address of one server of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    /// `None`: the host that was asked, which does not know its own name.
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
}

impl Node {
    /// From `host:port`, as a server writes it.
    pub(crate) fn parse(address: &str) -> Option<Self> {
        // The last colon: the host may be an IPv6 address, without brackets.
        let (host, port) = address.rsplit_once(':')?;
        Some(Self {
            host: (!host.is_empty() && host != "?").then(|| host.to_owned()),
            port: port.parse().ok()?,
        })
    }
}

/// The part of a cluster that a Store's keys are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot(u16);

impl Slot {
    /// Of the hash tag, which is the Store's id.
    pub(crate) fn of(store: StoreId) -> Self {
        Self(crc16(store.to_string().as_bytes()) % SLOTS)
    }
}

/// CRC-16/XMODEM, which clusters hash with.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            (crc << 1) ^ (if crc & 0x8000 == 0 { 0 } else { 0x1021 })
        })
    })
}

/// See the module.
pub(crate) struct Servers {
    server: Server,
    max_connections: usize,
    first: Arc<Pool>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    nodes: HashMap<Node, Arc<Pool>>,
    slots: HashMap<Slot, Node>,
}

impl Servers {
    pub(crate) fn new(server: Server, max_connections: usize) -> Self {
        Self {
            first: Arc::new(Pool::new(server.clone(), max_connections)),
            server,
            max_connections,
            known: Mutex::default(),
        }
    }

    /// How the connections to all of them are used now.
    pub(crate) fn usage(&self) -> Connections {
        let nodes = &self.known.lock().nodes;
        let others = nodes.values().map(|pool| pool.usage());
        others.fold(self.first.usage(), Add::add)
    }

    /// Whom to ask for what `store` holds. While nobody is known to have it, other servers with every
    /// `attempt`: the first may be the one that is away.
    pub(crate) fn of(&self, store: StoreId, attempt: usize) -> Arc<Pool> {
        let known = self.known.lock();
        // Most servers are alone, and slots nothing to them.
        if known.nodes.is_empty() {
            return self.first.clone();
        }
        let node = known.slots.get(&Slot::of(store));
        if let Some(pool) = node.and_then(|node| known.nodes.get(node)) {
            return pool.clone();
        }
        match attempt % (known.nodes.len() + 1) {
            0 => self.first.clone(),
            other => known
                .nodes
                .values()
                .nth(other - 1)
                .unwrap_or(&self.first)
                .clone(),
        }
    }

    /// The server at `node`; the first where that is no address.
    pub(crate) fn at(&self, node: &Node) -> Arc<Pool> {
        let mut known = self.known.lock();
        if let Some(pool) = known.nodes.get(node) {
            return pool.clone();
        }
        let Some(server) = self.server.at(node) else {
            return self.first.clone();
        };
        if known.nodes.len() >= MAX_NODES {
            *known = Known::default();
        }
        let pool = Arc::new(Pool::new(server, self.max_connections));
        known.nodes.insert(node.clone(), pool.clone());
        pool
    }

    /// `slot` is at `node` from now on.
    pub(crate) fn learn(&self, slot: Slot, node: Node) {
        self.at(&node);
        self.known.lock().slots.insert(slot, node);
    }

    /// Whoever had `slot` does not answer: the others may know who has it now.
    pub(crate) fn doubt(&self, slot: Slot) {
        self.known.lock().slots.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_servers() {
        // The check value of the algorithm, and what a server answers to CLUSTER KEYSLOT.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc16(b"foo") % SLOTS, 12182);
        assert_eq!(crc16(b"bar") % SLOTS, 5061);
    }

    #[test]
    fn addresses_of_every_kind_are_read() {
        let node = |address| Node::parse(address).map(|node| (node.host, node.port));
        let host = |host: &str| Some(host.to_owned());
        assert_eq!(node("10.0.0.1:7000"), Some((host("10.0.0.1"), 7000)));
        assert_eq!(node("fd00::1:7000"), Some((host("fd00::1"), 7000)));
        assert_eq!(node(":7000"), Some((None, 7000)));
        assert_eq!(node("?:7000"), Some((None, 7000)));
        assert_eq!(node("example.test"), None);
        assert_eq!(node("example.test:70000"), None);
    }
}

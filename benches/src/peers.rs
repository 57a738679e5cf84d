// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured: this library, used in several ways, and the peers that are installed.

use std::ffi::c_int;

use crate::contenders::rust_peers;
use crate::kernels::{peer_tables, Kernels, PeerTable};

/// The names of this library's contenders begin with this; `tools/plot` uses it, too.
pub const OWN_NAME: &str = "threadlocalmap";

/// Properties of a peer's keys (`kernels/peers/peer.h`).
pub const PLAIN: c_int = 0;
pub const COUNTING: c_int = 1;
pub const ENUMERABLE: c_int = 2;
pub const ANY: c_int = 4;

#[derive(Clone)]
pub struct Peer {
    pub id: String,
    pub name: String,
    pub version: String,
    pub table: &'static PeerTable,
}

impl Peer {
    fn of(table: &'static PeerTable) -> Peer {
        Peer { id: table.id(), name: table.name(), version: table.version(), table }
    }

    /// Whether it is this library.
    pub fn is_ours(&self) -> bool {
        self.id.starts_with("ours")
    }

    pub fn can_have(&self, keys: usize) -> bool {
        self.table.most() == 0 || keys <= self.table.most()
    }
}

pub struct Peers {
    all: Vec<Peer>,
}

impl Peers {
    pub fn find(kernels: &Kernels) -> Peers {
        let mut all: Vec<Peer> = Vec::new();
        for table in peer_tables(kernels).into_iter().chain(rust_peers::tables()) {
            let mut peer = Peer::of(table);
            // The second table with this id is from the shared object.
            if all.iter().any(|known| known.id == peer.id) {
                peer.id = "ours-object".into();
                peer.name = "threadlocalmap in C (-fPIC)".into();
            }
            all.push(peer);
        }
        Peers { all }
    }

    /// # Panics
    ///
    /// If there is no such peer. `rows` uses it only for peers that are always there.
    pub fn named(&self, id: &str) -> Peer {
        self.get(id).unwrap_or_else(|| panic!("no peer is named {id}"))
    }

    pub fn get(&self, id: &str) -> Option<Peer> {
        self.all.iter().find(|peer| peer.id == id).cloned()
    }

    /// All peers except `us`, and except the one that is only used to measure memory.
    pub fn beside(&self, us: &Peer) -> Vec<Peer> {
        let other = |peer: &&Peer| peer.id != us.id && peer.id != "tbb-malloc";
        self.all.iter().filter(other).cloned().collect()
    }

    /// Names and versions, for the report.
    pub fn versions(&self) -> Vec<(String, String)> {
        let told = self.all.iter().filter(|peer| !peer.is_ours() && !peer.version.is_empty());
        let mut versions: Vec<_> = told
            .filter(|peer| peer.id != "tbb-malloc")
            .map(|peer| (peer.name.clone(), peer.version.replace('_', ".")))
            .collect();
        versions.dedup();
        versions
    }
}

/// The peers that are not installed, and their Debian packages.
pub fn missing() -> Vec<(&'static str, &'static str)> {
    env!("BENCH_MISSING").split(';').filter_map(|one| one.split_once('=')).collect()
}

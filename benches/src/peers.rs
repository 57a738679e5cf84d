// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is measured: this library through each of its doors, and the peers that are installed here.

use std::ffi::c_int;

use crate::contenders::rust_peers;
use crate::kernels::{peer_tables, Kernels, PeerTable};

/// What a peer's keys are to be like (`kernels/peers/peer.h`).
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
            // The same file, compiled into the shared object.
            if all.iter().any(|known| known.id == peer.id) {
                peer.id = "ours-object".into();
                peer.name = "ours in a -fPIC object".into();
            }
            all.push(peer);
        }
        Peers { all }
    }

    /// # Panics
    ///
    /// When there is none: a mistake in `rows`, for those that are always there.
    pub fn named(&self, id: &str) -> Peer {
        self.get(id).unwrap_or_else(|| panic!("no peer is named {id}"))
    }

    pub fn get(&self, id: &str) -> Option<Peer> {
        self.all.iter().find(|peer| peer.id == id).cloned()
    }

    /// All but `us` and the one that is there for memory alone.
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

/// A peer that is not here, and the Debian package that has it.
pub fn missing() -> Vec<(&'static str, &'static str)> {
    env!("BENCH_MISSING").split(';').filter_map(|one| one.split_once('=')).collect()
}

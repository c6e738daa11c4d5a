//! Limits on connections: a peer that opens many of them, or says nothing on them, must not keep
//! others out.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

/// Most connections where the system sets no limit.
const MOST: u64 = 1 << 16;
/// Of this many open files that the system allows, all but one are connections: the database,
/// blobs and packs of pieces are files, too.
const FILES_PER_SPARE: u64 = 8;

/// Counts open connections by the address of the peer. One address may have half of them, so that
/// the other half is for everybody else. A whole IPv6 network of 64 bits counts as one address,
/// because one machine may have any number in it.
#[derive(Clone)]
pub struct Connections {
    most: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    all: usize,
    /// Addresses without connections are not in it.
    by_address: HashMap<IpAddr, usize>,
}

/// An open connection, counted until it is dropped.
pub struct Connection {
    address: IpAddr,
    open: Arc<Mutex<Open>>,
}

impl Connections {
    /// As many as this process may have.
    pub fn of_this_process() -> Self {
        let files = open_files().unwrap_or(MOST).min(MOST);
        Self::of(usize::try_from(files - files / FILES_PER_SPARE).unwrap_or(usize::MAX))
    }

    fn of(most: usize) -> Self {
        Self { most: most.max(2), open: Arc::default() }
    }

    /// Counts a connection from this address; `None` if it must be closed.
    pub fn begin(&self, from: IpAddr) -> Option<Connection> {
        let address = network_of(from);
        let mut open = self.open.lock();
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= self.most || of_address >= self.most / 2 {
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, of_address + 1);
        Some(Connection { address, open: self.open.clone() })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(unix)]
fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn open_files() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_leaves_half_to_others() {
        let connections = Connections::of(10);
        let greedy: Vec<_> = std::iter::from_fn(|| connections.begin(address("10.0.0.1"))).collect();
        assert_eq!(greedy.len(), 5);
        assert!(connections.begin(address("::ffff:10.0.0.1")).is_none(), "it is the same address");
        let others: Vec<_> = (2..=9).filter_map(|n| connections.begin(IpAddr::from([10, 0, 0, n]))).collect();
        assert_eq!(others.len(), 5);
        assert!(connections.begin(address("10.0.0.1")).is_none());
        drop((greedy, others));
        assert!(connections.begin(address("10.0.0.1")).is_some());
        assert!(connections.open.lock().by_address.is_empty(), "nothing stays of those who left");
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one() {
        let connections = Connections::of(4);
        let _first = connections.begin(address("2001:db8::1"));
        let second = connections.begin(address("2001:db8::ffff:2"));
        assert!(second.is_some());
        assert!(connections.begin(address("2001:db8::3")).is_none());
        assert!(connections.begin(address("2001:db8:0:1::1")).is_some());
    }
}

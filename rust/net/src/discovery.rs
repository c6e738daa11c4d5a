//! Finding masters on UDP port 8000. A master announces itself every two seconds to the broadcast
//! address of each interface. A client sends a probe the same way, and every master answers it at
//! once, by unicast.
//!
//! All listeners share the port (SO_REUSEADDR): a broadcast reaches all of them, a unicast only the
//! last one. Therefore answers go to the port that the probe came from. Packets are hostile until
//! they are checked.

use netrender_core::{
    printable::printable,
    wire::{MasterInfo, PROTOCOL},
};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

/// UDP port of beacons and probes. It does not depend on the master's HTTP port.
const DISCOVERY_PORT: u16 = 8000;
const ANNOUNCE_EVERY: Duration = Duration::from_secs(2);
/// Broadcast address of loopback, which the interface list does not contain.
const LOOPBACK_BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);
/// Upper bound of a packet in bytes. A beacon fits in.
const MAX_PACKET: usize = 1400;
/// Upper bound of masters in one search. More come only from an attack.
const MAX_FOUND: usize = 256;

/// Announcement of a master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// Always `netrender`.
    service: String,
    /// Version of its protocol.
    pub protocol: u32,
    /// Random id of the farm.
    pub id: String,
    /// Name of the farm.
    pub name: String,
    /// Port of its HTTP interface.
    pub port: u16,
    /// Version of the product.
    pub version: String,
    /// Address of its HTTP interface if it does not listen on all addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<IpAddr>,
}

#[derive(Serialize, Deserialize)]
struct Probe {
    service: String,
    probe: u32,
}

/// A master that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Random id of the farm.
    pub id: String,
    /// Name of the farm.
    pub name: String,
    /// URL of its HTTP interface.
    pub url: String,
    /// Address of its HTTP interface.
    pub host: String,
    /// Port of its HTTP interface.
    pub port: u16,
    /// Version of its protocol.
    pub protocol: u32,
    /// Version of the product.
    pub version: String,
}

impl Beacon {
    /// Beacon of a master that listens at this address.
    pub fn new(info: &MasterInfo, listening: SocketAddr) -> Self {
        // A packet has no room for more.
        let name = info.name.chars().take(100).collect();
        let (id, version) = (info.farm.clone(), info.version.clone());
        let host = Some(listening.ip()).filter(|ip| !ip.is_unspecified());
        Self { service: "netrender".into(), protocol: info.protocol, id, name, port: listening.port(), version, host }
    }

    fn parse(packet: &[u8]) -> Option<Self> {
        let beacon: Self = serde_json::from_slice(packet).ok()?;
        let is_name =
            |text: &str, most: usize| !text.is_empty() && text.chars().count() <= most && printable(text) == text;
        (beacon.service == "netrender"
            && beacon.port != 0
            && is_name(&beacon.id, 64)
            && is_name(&beacon.name, 100)
            && is_name(&beacon.version, 40))
        .then_some(beacon)
    }
}

/// Announces a master and answers probes until dropped. `listening` is the address of its HTTP
/// interface: a master that listens on loopback only is not announced elsewhere.
pub async fn announce(beacon: Beacon, listening: IpAddr) {
    let Ok(packet) = serde_json::to_vec(&beacon) else { return };
    let mut warned = false;
    loop {
        // Another program may hold the port without sharing it, and release it later.
        match shared_socket(DISCOVERY_PORT) {
            Ok(socket) => answer_and_announce(&socket, &packet, listening).await,
            Err(error) if !warned => {
                tracing::warn!("UDP port {DISCOVERY_PORT} is taken ({error}): this master can't be found by looking");
                warned = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(ANNOUNCE_EVERY).await;
    }
}

async fn answer_and_announce(socket: &UdpSocket, packet: &[u8], listening: IpAddr) {
    let mut clock = tokio::time::interval(ANNOUNCE_EVERY);
    let mut buffer = [0; MAX_PACKET];
    loop {
        tokio::select! {
            _ = clock.tick() => {
                for target in broadcast_addresses(listening.is_loopback()) {
                    let _ = socket.send_to(packet, (target, DISCOVERY_PORT)).await;
                }
            }
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, from)) => {
                    let probe = serde_json::from_slice::<Probe>(&buffer[..length]);
                    let reachable = from.ip().is_loopback() || !listening.is_loopback();
                    if reachable && probe.is_ok_and(|probe| probe.service == "netrender") {
                        let _ = socket.send_to(packet, from).await;
                    }
                }
                // Windows reports here that an earlier answer was not received.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(_) => return,
            }
        }
    }
}

/// Returns every master that answers within the time, the fastest first.
pub async fn discover(wait: Duration) -> io::Result<Vec<Found>> {
    look(wait, false).await
}

/// Returns the first master of this protocol that answers within the time.
pub async fn find_first(wait: Duration) -> io::Result<Option<Found>> {
    Ok(look(wait, true).await?.into_iter().find(|found| found.protocol == PROTOCOL))
}

async fn look(wait: Duration, first_is_enough: bool) -> io::Result<Vec<Found>> {
    let asking = shared_socket(0)?;
    let probe = serde_json::to_vec(&Probe { service: "netrender".into(), probe: PROTOCOL })?;
    for target in broadcast_addresses(false) {
        // An interface that is down must not keep the others from being probed.
        let _ = asking.send_to(&probe, (target, DISCOVERY_PORT)).await;
    }
    let until = Instant::now() + wait;
    let mut order = Vec::new();
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    let mut buffer = [0; MAX_PACKET];
    while let Ok(received) = timeout_at(until, asking.recv_from(&mut buffer)).await {
        let Ok((length, from)) = received else { continue };
        let Some(beacon) = Beacon::parse(&buffer[..length]) else { continue };
        if found.len() >= MAX_FOUND || found.contains_key(&beacon.id) {
            continue;
        }
        let ours = beacon.protocol == PROTOCOL;
        order.push(beacon.id.clone());
        found.insert(beacon.id.clone(), heard(beacon, from));
        if first_is_enough && ours {
            break;
        }
    }
    Ok(order.iter().filter_map(|id| found.remove(id)).collect())
}

fn heard(beacon: Beacon, from: SocketAddr) -> Found {
    let Beacon { protocol, id, name, port, version, host, service: _ } = beacon;
    let address = SocketAddr::new(host.unwrap_or(from.ip()), port);
    Found { id, name, url: format!("http://{address}"), host: address.ip().to_string(), port, protocol, version }
}

fn shared_socket(port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    // BSD and macOS share a port only with this option; on Linux the one above suffices.
    #[cfg(all(unix, not(target_os = "linux")))]
    socket.set_reuse_port(true)?;
    socket.set_broadcast(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    UdpSocket::from_std(socket.into())
}

/// Broadcast address of each interface. 255.255.255.255 would need a default route and reach one
/// interface only.
fn broadcast_addresses(loopback_only: bool) -> Vec<Ipv4Addr> {
    let mut targets = vec![LOOPBACK_BROADCAST];
    if !loopback_only {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        targets.extend(interfaces.into_iter().filter_map(|interface| match interface.addr {
            if_addrs::IfAddr::V4(address) if !address.ip.is_loopback() => address.broadcast,
            _ => None,
        }));
    }
    targets.sort();
    targets.dedup();
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_beacons_are_not_heard() {
        let good = r#"{"service":"netrender","protocol":1,"id":"a","name":"Studio","port":8000,"version":"0.1"}"#;
        assert!(Beacon::parse(good.as_bytes()).is_some());
        for bad in [
            "",
            "{}",
            "[1]",
            "\u{0}\u{1}",
            &good.replace("netrender", "other"),
            &good.replace("8000", "0"),
            &good.replace("Studio", "\\u001b[31m"),
            &good.replace("Studio", &"x".repeat(101)),
            &good.replace("8000", "70000"),
        ] {
            assert!(Beacon::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}

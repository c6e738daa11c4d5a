//! Finding masters on UDP port 8000. A master announces itself every two seconds to each interface's broadcast address;
//! whoever looks sends a probe the same way and every master answers it at once, by unicast.
//!
//! All listeners share the port (SO_REUSEADDR): a broadcast reaches every one of them, a unicast only the last, which is
//! why answers go to the probe's own port. What arrives is hostile until checked.

use netrender_core::wire::{MasterInfo, PROTOCOL};
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

/// The port of beacons and probes, whatever port the master's HTTP has.
const DISCOVERY_PORT: u16 = 8000;
const ANNOUNCE_EVERY: Duration = Duration::from_secs(2);
/// Loopback has no broadcast address of its own in the interface list.
const LOOPBACK_BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);
/// A beacon fits one packet.
const MAX_PACKET: usize = 1400;
/// More masters than any network has; beyond it somebody floods us.
const MAX_FOUND: usize = 256;

/// What a master says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// Always `netrender`.
    service: String,
    /// The protocol it speaks.
    pub protocol: u32,
    /// The farm's random id.
    pub id: String,
    /// As people call it.
    pub name: String,
    /// Its HTTP port.
    pub port: u16,
    /// The product's version.
    pub version: String,
    /// The address its HTTP listens on, when that is not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<IpAddr>,
}

#[derive(Serialize, Deserialize)]
struct Probe {
    service: String,
    probe: u32,
}

/// A master that was heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The farm's random id.
    pub id: String,
    /// As people call it.
    pub name: String,
    /// Where its HTTP is.
    pub url: String,
    /// Its address.
    pub host: String,
    /// Its HTTP port.
    pub port: u16,
    /// The protocol it speaks.
    pub protocol: u32,
    /// The product's version.
    pub version: String,
}

impl Beacon {
    /// The beacon of the master that listens there.
    pub fn new(info: &MasterInfo, listening: SocketAddr) -> Self {
        // A packet has room for a name, not for a novel.
        let name = info.name.chars().take(100).collect();
        let (id, version) = (info.farm.clone(), info.version.clone());
        let host = Some(listening.ip()).filter(|ip| !ip.is_unspecified());
        Self { service: "netrender".into(), protocol: info.protocol, id, name, port: listening.port(), version, host }
    }

    fn parse(packet: &[u8]) -> Option<Self> {
        let beacon: Self = serde_json::from_slice(packet).ok()?;
        let printable = |text: &str, most: usize| {
            !text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
        };
        (beacon.service == "netrender"
            && beacon.port != 0
            && printable(&beacon.id, 64)
            && printable(&beacon.name, 100)
            && printable(&beacon.version, 40))
        .then_some(beacon)
    }
}

/// Announces the master and answers probes until dropped. `listening` is the address its HTTP listens on: a master that
/// listens on loopback only is not announced elsewhere.
pub async fn announce(beacon: Beacon, listening: IpAddr) {
    let Ok(packet) = serde_json::to_vec(&beacon) else { return };
    let mut warned = false;
    loop {
        // The port may be held by a program that does not share it; it may also become free.
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
                // Windows reports an earlier answer that nobody took as an error of this call.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(_) => return,
            }
        }
    }
}

/// Every master heard within the time, the first answer first.
pub async fn discover(wait: Duration) -> io::Result<Vec<Found>> {
    look(wait, false).await
}

/// The first master heard that speaks our protocol.
pub async fn find_first(wait: Duration) -> io::Result<Option<Found>> {
    Ok(look(wait, true).await?.into_iter().find(|found| found.protocol == PROTOCOL))
}

async fn look(wait: Duration, first_is_enough: bool) -> io::Result<Vec<Found>> {
    let asking = shared_socket(0)?;
    let probe = serde_json::to_vec(&Probe { service: "netrender".into(), probe: PROTOCOL })?;
    for target in broadcast_addresses(false) {
        // An interface that is down must not hide the others.
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
    // BSD and macOS share a port only with this option; Linux needs the one above alone.
    #[cfg(all(unix, not(target_os = "linux")))]
    socket.set_reuse_port(true)?;
    socket.set_broadcast(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    UdpSocket::from_std(socket.into())
}

/// One address per interface: 255.255.255.255 would need a default route and reach one interface only.
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

//! Whether the addresses that a station is to listen at are free, asked before it starts.
//!
//! libp2p shares TCP ports between processes, so that two stations on one port both run and neither hears all that is meant for it, and
//! it gives no reason where an address cannot be had. Guarantees: an address that somebody else listens at, or that this machine does not
//! have, is named with the operating system's reason. Deliberately lacks a promise: another program may take the port a moment later.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// The first address that cannot be had, and why.
pub fn probe<'a>(addresses: impl IntoIterator<Item = &'a Multiaddr>) -> Result<(), (Multiaddr, io::Error)> {
    for address in addresses {
        let bound = match socket(address) {
            Some((Transport::Tcp, socket)) => TcpListener::bind(socket).map(drop),
            Some((Transport::Udp, socket)) => UdpSocket::bind(socket).map(drop),
            None => Ok(()),
        };
        bound.map_err(|error| (address.clone(), error))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
}

/// The socket that `address` begins with, where it names one.
fn socket(address: &Multiaddr) -> Option<(Transport, SocketAddr)> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some((Transport::Tcp, SocketAddr::new(ip, port))),
        Protocol::Udp(port) => Some((Transport::Udp, SocketAddr::new(ip, port))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

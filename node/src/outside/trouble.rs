//! [`Trouble`]: why a request was not made or not answered, as one word for guests and in words for people.
//!
//! Guarantees: the word is of the station only where the station failed ([`FetchError::StationFailed`]); the words are the station's own
//! and bounded, whatever a server says. Deliberately lacks addresses: who was contacted stands in the record.

use std::fmt::Display;
use std::io;

use rustls::CertificateError;
use station_protocol::bounded::Text;
use station_protocol::hostcall::{DETAIL_BYTES_MAX, FetchError};

use super::ResolveError;
use super::quota::QuotaRefused;

/// What stopped a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub error: FetchError,
    /// For whoever reads the result; nothing where the word says it all.
    pub why: Option<Text<DETAIL_BYTES_MAX>>,
}

impl Trouble {
    #[must_use]
    pub fn new(error: FetchError, why: impl Display) -> Self {
        Self { error, why: Some(Text::cut(&why.to_string())) }
    }

    /// How much it says of the target: nothing where the station failed, little where it did not ask.
    #[must_use]
    pub fn weight(&self) -> u8 {
        match self.error {
            FetchError::StationFailed => 0,
            FetchError::Quota => 1,
            _ => 2,
        }
    }
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Self { error, why: None }
    }
}

impl From<ResolveError> for Trouble {
    fn from(error: ResolveError) -> Self {
        let word = match error {
            ResolveError::NoSuchName | ResolveError::NoAnswer => FetchError::Dns,
            ResolveError::NoResolver | ResolveError::Silent => FetchError::StationFailed,
        };
        Self::new(word, error)
    }
}

impl From<QuotaRefused> for Trouble {
    fn from(reason: QuotaRefused) -> Self {
        let own = matches!(reason, QuotaRefused::NotDurable | QuotaRefused::Stopping);
        Self::new(if own { FetchError::StationFailed } else { FetchError::Quota }, reason)
    }
}

/// Why a socket did not come about.
pub(super) fn not_connected(error: &io::Error) -> Trouble {
    use io::ErrorKind as Kind;
    let target = |why| Trouble::new(FetchError::Connect, why);
    match error.kind() {
        Kind::ConnectionRefused => target("the connection was refused"),
        Kind::ConnectionReset | Kind::ConnectionAborted => target("the connection was reset"),
        Kind::HostUnreachable => target("no route to the host"),
        Kind::TimedOut => target("nobody answered"),
        // The machine's own tables, rights and places say so, before anything is sent.
        Kind::NetworkUnreachable | Kind::NetworkDown => Trouble::new(FetchError::StationFailed, "this station has no route to the address"),
        Kind::PermissionDenied => Trouble::new(FetchError::StationFailed, "this station's system forbids the connection"),
        Kind::AddrNotAvailable => Trouble::new(FetchError::StationFailed, "this station has no address or port left for the connection"),
        _ if is_out_of_sockets(error) => Trouble::new(FetchError::StationFailed, "this station may open no more sockets"),
        kind => target(&kind.to_string()),
    }
}

/// EMFILE and ENFILE, which have no kind.
fn is_out_of_sockets(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// Why a handshake failed. A certificate's own words are not repeated.
pub(super) fn not_secure(error: &io::Error) -> Trouble {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let why = match tls {
        Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
            CertificateError::UnknownIssuer => "the certificate is self-signed, or of an authority that stations do not know",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired, by this station's clock",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet, by this station's clock"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "the certificate is for another name",
            CertificateError::Revoked => "the certificate is revoked",
            // webpki takes a certificate that is its own authority for one that must not serve.
            CertificateError::Other(_) => "the certificate is not one for a server; it may be self-signed",
            _ => "the certificate is not valid",
        },
        Some(rustls::Error::AlertReceived(_)) => "the server ended the TLS handshake",
        Some(rustls::Error::InvalidMessage(_)) => "what came is not TLS",
        Some(rustls::Error::PeerIncompatible(_)) => "the server speaks no TLS that stations speak",
        Some(_) => "the TLS handshake failed",
        None => "the connection ended in the TLS handshake",
    };
    Trouble::new(FetchError::Tls, why)
}

#[cfg(test)]
mod tests;

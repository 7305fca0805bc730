//! TLS for `https` targets: rustls with the ring provider and Mozilla's roots.
//!
//! Guarantees: certificates and names are always checked; only HTTP/1.1 is offered. Deliberately lacks client certificates, a
//! switch that skips checking, and the machine's own trust store, so that all stations believe the same roots.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::Stream;

/// The client side of TLS. A copy is the same configuration.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::trusting(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }
}

impl Tls {
    /// Believes certificates under `roots` alone: for tests and simulations with an authority of their own.
    ///
    /// # Panics
    /// Never: the ring provider has cipher suites for every protocol version that rustls has.
    #[must_use]
    pub fn trusting(roots: RootCertStore) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = versions.expect("ring serves TLS 1.2 and 1.3").with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Resuming would make a second handshake cheaper than the first: measurements should not depend on what ran before.
        config.resumption = rustls::client::Resumption::disabled();
        Self(TlsConnector::from(Arc::new(config)))
    }

    /// The handshake over `stream` with the server that `host` names.
    pub async fn handshake(&self, host: &str, stream: Box<dyn Stream>) -> io::Result<Box<dyn Stream>> {
        let name = match host.parse::<IpAddr>() {
            Ok(ip) => ServerName::from(ip),
            Err(_) => ServerName::try_from(host.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        Ok(Box::new(self.0.connect(name, stream).await?))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A server for `example.org`, and a client that believes it.
    pub(crate) fn authority() -> (tokio_rustls::TlsAcceptor, Tls) {
        let made = rcgen::generate_simple_self_signed(vec!["example.org".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.key_pair.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        (tokio_rustls::TlsAcceptor::from(Arc::new(server)), Tls::trusting(roots))
    }
}

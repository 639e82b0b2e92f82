//! TLS towards the outside.
//!
//! Owns the trusted roots: the machine's, or those that `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` name, read when TLS is first asked for. Invariant: there is
//! no way to have a connection whose other side did not prove its name.
//! Sessions are not resumed: nodes share the setup, and a session of one is
//! not another's.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::error::{EgressError, TlsError};
use crate::target::Target;

/// How long the two sides may take to agree.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    config: OnceCell<ClientConfig>,
}

impl Tls {
    /// Trusts these roots and not the machine's.
    #[cfg(test)]
    pub(crate) fn trusting(roots: RootCertStore) -> Self {
        Self {
            config: OnceCell::new_with(configure(roots).ok()),
        }
    }

    /// What it takes to speak TLS with one host; asked for before dialling, so
    /// that nobody is dialled in vain. Roots that could not be read are tried
    /// again next time.
    pub(crate) async fn prepare(
        &self,
        target: &Target,
        host: &str,
        alpn: &[Vec<u8>],
    ) -> Result<Handshake, TlsError> {
        let name = server_name(target, host)?;
        let mut config = self.config.get_or_try_init(load).await?.clone();
        config.alpn_protocols = alpn.to_vec();
        Ok(Handshake {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }
}

/// Ready to speak TLS with one host.
pub(crate) struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Handshake {
    /// Speaks it.
    pub(crate) async fn over(self, stream: TcpStream) -> Result<TlsStream<TcpStream>, EgressError> {
        let handshake = self.connector.connect(self.name, stream);
        match tokio::time::timeout(HANDSHAKE_TIME, handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(TlsError::Handshake(error).into()),
            Err(_) => Err(EgressError::TimedOut),
        }
    }
}

fn server_name(target: &Target, host: &str) -> Result<ServerName<'static>, TlsError> {
    if let Target::Address(address) = target {
        return Ok(ServerName::from(*address));
    }
    let bare = host.strip_suffix('.').unwrap_or(host).to_owned();
    ServerName::try_from(bare).map_err(|_| TlsError::BadName(host.to_owned()))
}

async fn load() -> Result<ClientConfig, TlsError> {
    // Hundreds of certificates, from files.
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|error| TlsError::Setup(error.to_string()))?;
    for error in &loaded.errors {
        tracing::warn!("failed to read some trusted roots: {error}");
    }
    let mut roots = RootCertStore::empty();
    // One that cannot be parsed is one that is not trusted.
    roots.add_parsable_certificates(loaded.certs);
    configure(roots)
}

fn configure(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_roots_there_is_no_tls() {
        let error = configure(RootCertStore::empty()).unwrap_err();
        assert!(matches!(error, TlsError::NoRoots));
    }

    #[test]
    fn names_and_addresses_are_proven_alike() {
        let name = |host: &str| {
            let target = Target::parse(host).unwrap();
            server_name(&target, host).map(|name| name.to_str().into_owned())
        };
        assert_eq!(name("a.test.").unwrap(), "a.test");
        assert_eq!(name("8.8.8.8").unwrap(), "8.8.8.8");
        assert_eq!(name("[2606:4700::1]").unwrap(), "2606:4700::1");
        assert!(matches!(name("a-.test"), Err(TlsError::BadName(_))));
    }
}

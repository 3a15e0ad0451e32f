//! TLS settings of outbound connections: rustls, the system's roots, and a certificate file of the operator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Why the TLS settings cannot be made. The configuration's side.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `EXTRA_CA_FILE` cannot be read as PEM.
    #[error("cannot read certificates from EXTRA_CA_FILE {path}: {reason}")]
    ExtraCaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate in `EXTRA_CA_FILE` is not a usable root.
    #[error("EXTRA_CA_FILE {path} holds a certificate that cannot be a root: {source}")]
    ExtraCa {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// rustls refuses its own defaults.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// TLS settings, made once per process and shared by all workers.
#[derive(Debug, Clone)]
pub struct Tls {
    /// To upstreams that are spoken to in HTTP/1.1.
    pub(super) http1: Arc<ClientConfig>,
    /// To upstreams known to speak HTTP/2.
    pub(super) http2: Arc<ClientConfig>,
    /// Asks an upstream what it speaks.
    pub(super) either: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts the system's roots and those in `extra_ca_file` (PEM). Roots of the system that cannot be read are logged
    /// and skipped.
    ///
    /// # Errors
    /// When the file cannot be read, holds no certificate, or rustls cannot be set up.
    pub fn system(extra_ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "cannot read a root certificate of the system");
        }
        roots.add_parsable_certificates(native.certs);
        if let Some(path) = extra_ca_file {
            add_file(&mut roots, path)?;
        }
        Self::with_roots(roots)
    }

    /// Trusts exactly `roots`.
    ///
    /// # Errors
    /// When rustls cannot be set up.
    pub fn with_roots(roots: RootCertStore) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let plain = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let speaking = |protocols: &[&[u8]]| {
            let mut config = plain.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self { http1: speaking(&[b"http/1.1"]), http2: speaking(&[b"h2"]), either: speaking(&[b"h2", b"http/1.1"]) })
    }

    /// The same roots for calls that are no requests to upstreams; it asks for no protocol.
    pub fn plain(&self) -> ClientConfig {
        let mut config = ClientConfig::clone(&self.http1);
        config.alpn_protocols.clear();
        config
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let unreadable = |reason: String| TlsError::ExtraCaFile { path: path.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
    let mut count = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|source| TlsError::ExtraCa { path: path.to_owned(), source })?;
        count += 1;
    }
    if count == 0 {
        return Err(unreadable("it holds no PEM certificate".to_owned()));
    }
    Ok(())
}

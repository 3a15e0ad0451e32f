//! TLS towards clients, with certificates that are read again when their files change.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// Why the node cannot serve HTTPS with the files it was given.
#[derive(Debug, thiserror::Error)]
pub enum TlsFilesError {
    /// The certificate chain.
    #[error("TLS_CERT_FILE {path}: {reason}")]
    Certificate {
        /// File.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The private key.
    #[error("TLS_KEY_FILE {path}: {reason}")]
    Key {
        /// File.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The certificate the node shows, as the files say it.
#[derive(Debug)]
pub struct CertificateFiles {
    cert_file: PathBuf,
    key_file: PathBuf,
    present: ArcSwap<CertifiedKey>,
    read_at: ArcSwap<Option<SystemTime>>,
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, holds no PEM of its kind, or key and certificate do not belong together.
    pub fn open(cert_file: PathBuf, key_file: PathBuf) -> Result<Arc<Self>, TlsFilesError> {
        let changed = modified(&cert_file, &key_file);
        let present = ArcSwap::from_pointee(read(&cert_file, &key_file)?);
        Ok(Arc::new(Self { cert_file, key_file, present, read_at: ArcSwap::from_pointee(changed) }))
    }

    /// Reads the files again if they changed; the old certificate stays when the new one cannot be used.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn refresh(&self) -> Result<bool, TlsFilesError> {
        let changed = modified(&self.cert_file, &self.key_file);
        if changed == **self.read_at.load() {
            return Ok(false);
        }
        // Remembered first, so that a broken pair is complained about once and not at every look.
        self.read_at.store(Arc::new(changed));
        self.present.store(Arc::new(read(&self.cert_file, &self.key_file)?));
        Ok(true)
    }

    /// A server configuration that always shows the present certificate; HTTP/2 and HTTP/1.1 by ALPN.
    pub fn server_config(self: &Arc<Self>) -> ServerConfig {
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.present.load_full())
    }
}

fn modified(cert_file: &PathBuf, key_file: &PathBuf) -> Option<SystemTime> {
    let time = |path: &PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    time(cert_file).max(time(key_file))
}

fn read(cert_file: &PathBuf, key_file: &PathBuf) -> Result<CertifiedKey, TlsFilesError> {
    let certificate_error = |reason: String| TlsFilesError::Certificate { path: cert_file.clone(), reason };
    let chain = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| certificate_error(error.to_string()))?;
    if chain.is_empty() {
        return Err(certificate_error("holds no certificate in PEM form".to_owned()));
    }
    let key_error = |reason: String| TlsFilesError::Key { path: key_file.clone(), reason };
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| key_error(error.to_string()))?;
    let provider = CryptoProvider::get_default().ok_or_else(|| key_error("no TLS provider is installed".to_owned()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| key_error(error.to_string()))
}

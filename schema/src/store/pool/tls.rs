//! TLS to database servers: what a DSN asks for, and whom it makes trust.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};

use crate::store::{StoreError, StoreResult};

/// What a DSN asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the server can; nothing is checked.
    Prefer,
    /// Always; nothing is checked.
    Require,
    /// Always; the certificate must come from a known authority.
    VerifyCa,
    /// Always; it must also be that of the host.
    VerifyFull,
}

/// The certificates that `EXTRA_CA_FILE` and a DSN add to those of the system.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct ExtraRoots(pub(in crate::store) Vec<PathBuf>);

impl ExtraRoots {
    /// The certificates of all files, and of the system.
    ///
    /// # Errors
    /// `Incompatible` for a file that cannot be read or holds no certificate.
    pub(in crate::store) fn all(&self) -> StoreResult<Vec<CertificateDer<'static>>> {
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "cannot read a root certificate of the system");
        }
        let mut all = native.certs;
        for path in &self.0 {
            all.extend(read(path)?);
        }
        // The lists of operating systems hold certificates that no library takes.
        all.retain(|root| RootCertStore::empty().add(root.clone()).is_ok());
        Ok(all)
    }
}

fn read(path: &Path) -> StoreResult<Vec<CertificateDer<'static>>> {
    let failed = |reason: &dyn std::fmt::Display| {
        StoreError::Incompatible(format!("cannot read root certificates from {}: {reason}", path.display()))
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| failed(&error))?
        .collect::<Result<_, _>>()
        .map_err(|error| failed(&error))?;
    if certificates.is_empty() { Err(failed(&"it holds no PEM certificate")) } else { Ok(certificates) }
}

/// rustls as `mode` asks for it.
///
/// # Errors
/// `Incompatible` as [`ExtraRoots::all`], and without one usable root where certificates are to be checked.
pub(in crate::store) fn client_config(mode: TlsMode, extra: &ExtraRoots) -> StoreResult<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |error: &dyn std::fmt::Display| StoreError::Incompatible(format!("cannot set up TLS: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let verifier: Arc<dyn ServerCertVerifier> = match mode {
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => Arc::new(Anyone(provider)),
        TlsMode::VerifyCa | TlsMode::VerifyFull => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(extra.all()?);
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier = verifier.map_err(|error| failed(&error))?;
            if mode == TlsMode::VerifyFull { verifier } else { Arc::new(AnyName(verifier)) }
        }
    };
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Takes any certificate, as `sslmode=require` means it: encrypted, to whomever.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

/// Takes a certificate of a known authority for any name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The name is checked last, when all else was found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

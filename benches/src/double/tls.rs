//! A certificate authority of the double's own, and the server configuration it vouches for.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// TLS of one double.
pub(crate) struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    /// Certificate of the authority, for clients to trust.
    pub(crate) ca_pem: String,
}

impl Tls {
    /// A fresh authority and a certificate for these host names and addresses.
    pub(crate) fn generate(names: &[String]) -> io::Result<Self> {
        let (chain, key, ca_pem) = certify(names).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), ca_pem })
    }
}

type Certified = (Vec<rustls_pki_types::CertificateDer<'static>>, PrivateKeyDer<'static>, String);

fn certify(names: &[String]) -> Result<Certified, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "provider double");
    let authority_key = KeyPair::generate()?;
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    Ok((vec![certificate.der().clone()], key, ca_pem))
}

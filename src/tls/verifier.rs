//! Verifies server certificates for clients. Pure.
//!
//! webpki only verifies chains of version 3 certificates. OpenSSL and Go accept more, and so do
//! these verifiers: certificates that are themselves trusted, and version 1 certificates.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
};
use rustls::server::{ParsedCertificate, VerifierBuilderError};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::authorities::Authorities;
use super::client::Trust;
use super::x509::{Certificate, PublicKey};

/// Verifies the certificates of servers, and that each server has the key of its certificate.
#[derive(Debug)]
pub(super) struct Verifier {
    /// The trusted certificates, or `None` if every certificate is accepted.
    known: Option<KnownAuthorities>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Creates a verifier.
    ///
    /// # Errors
    ///
    /// There are no certificates.
    pub(super) fn new(
        trust: Trust,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<Self>, VerifierBuilderError> {
        let known = match trust {
            Trust::Authorities(authorities) => Some(KnownAuthorities::new(authorities, provider)?),
            Trust::Everyone => None,
        };
        let algorithms = provider.signature_verification_algorithms;
        Ok(Arc::new(Self { known, algorithms }))
    }
}

/// Certificates that others chain to. A certificate that is one of them is accepted too.
#[derive(Debug)]
struct KnownAuthorities {
    authorities: Authorities,
    /// `None` if all certificates are leaves, which are only trusted themselves.
    chains: Option<Arc<WebPkiServerVerifier>>,
}

impl KnownAuthorities {
    fn new(
        authorities: Authorities,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let roots = Arc::new(authorities.roots.clone());
        let chains = if roots.is_empty() && !authorities.is_empty() {
            None
        } else {
            let chains = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
            Some(chains.build()?)
        };
        Ok(Self {
            authorities,
            chains,
        })
    }

    /// Verifies the issuer of a version 1 certificate. It has no extensions, so its issuer must be
    /// an authority.
    fn verify_issuer(
        &self,
        certificate: &Certificate<'_>,
        known: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        let anchors = self.authorities.roots.roots.iter();
        let mut issuers = anchors.filter(|anchor| anchor.subject.as_ref() == certificate.issuer);
        if issuers.clone().next().is_none() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        if issuers.any(|anchor| is_signed_by(certificate, anchor, known)) {
            return Ok(());
        }
        Err(CertificateError::BadSignature.into())
    }
}

fn is_signed_by(
    certificate: &Certificate<'_>,
    anchor: &TrustAnchor<'_>,
    known: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    PublicKey::of(&anchor.subject_public_key_info).is_some_and(|key| {
        let mut fitting = known.iter().filter(|algorithm| {
            algorithm.signature_alg_id().as_ref() == certificate.signature_algorithm
                && algorithm.public_key_alg_id().as_ref() == key.algorithm
        });
        fitting.any(|algorithm| {
            let (signed, signature) = (certificate.signed, certificate.signature);
            algorithm
                .verify_signature(key.bits, signed, signature)
                .is_ok()
        })
    })
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(known) = &self.known else {
            return Ok(ServerCertVerified::assertion());
        };
        let is_trusted_itself = known.authorities.contains(end_entity);
        let read = Certificate::read(end_entity);
        let Some(certificate) = read.filter(|read| is_trusted_itself || read.is_v1) else {
            let chains = known.chains.as_ref();
            let chains = chains.ok_or(CertificateError::UnknownIssuer)?;
            return chains.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        };
        verify_time(&certificate, now)?;
        if !is_trusted_itself {
            known.verify_issuer(&certificate, self.algorithms.all)?;
        }
        verify_name(end_entity, &certificate, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn verify_time(certificate: &Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let (from, to) = certificate.validity;
    if now.as_secs() < from {
        let not_before = UnixTime::since_unix_epoch(std::time::Duration::from_secs(from));
        let error = CertificateError::NotValidYetContext {
            time: now,
            not_before,
        };
        return Err(error.into());
    }
    if now.as_secs() > to {
        let not_after = UnixTime::since_unix_epoch(std::time::Duration::from_secs(to));
        let error = CertificateError::ExpiredContext {
            time: now,
            not_after,
        };
        return Err(error.into());
    }
    Ok(())
}

/// Compares the name with the alternative names or, like OpenSSL, with the common name if there are
/// none.
///
/// A version 1 certificate has no alternative names. A common name never matches an IP address.
fn verify_name(
    der: &CertificateDer<'_>,
    certificate: &Certificate<'_>,
    name: &ServerName<'_>,
) -> Result<(), Error> {
    if certificate.has_alternative_names {
        return verify_server_name(&ParsedCertificate::try_from(der)?, name);
    }
    let presented: Vec<String> = certificate.common_names().map(ToOwned::to_owned).collect();
    let wanted = name.to_str();
    let is_host = matches!(name, ServerName::DnsName(_));
    if is_host && presented.iter().any(|pattern| is_name(pattern, &wanted)) {
        return Ok(());
    }
    let error = CertificateError::NotValidForNameContext {
        expected: name.to_owned(),
        presented,
    };
    Err(error.into())
}

/// Returns whether a common name, whose first label may be `*`, matches a name.
fn is_name(pattern: &str, name: &str) -> bool {
    let is_same = pattern.eq_ignore_ascii_case(name);
    let behind = |text: &str| {
        text.split_once('.')
            .map(|(_, rest)| rest.to_ascii_lowercase())
    };
    let covers = pattern.starts_with("*.") && pattern.matches('.').count() > 1;
    is_same || (covers && behind(pattern) == behind(name))
}

fn verify_tls12(
    message: &[u8],
    der: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    known: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    match Certificate::read(der).filter(|certificate| certificate.is_v1) {
        Some(certificate) => verify_with_key(message, certificate.key, signed, known, usize::MAX),
        None => verify_tls12_signature(message, der, signed, known),
    }
}

fn verify_tls13(
    message: &[u8],
    der: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    known: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    match Certificate::read(der).filter(|certificate| certificate.is_v1) {
        // As in webpki: the scheme determines the curve, and its first algorithm is the one for it.
        Some(certificate) if is_of_tls13(signed.scheme) => {
            verify_with_key(message, certificate.key, signed, known, 1)
        }
        Some(_) => Err(CertificateError::BadSignature.into()),
        None => verify_tls13_signature(message, der, signed, known),
    }
}

/// Schemes with SHA-1 or PKCS #1 v1.5 are not part of TLS 1.3.
fn is_of_tls13(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::ECDSA_NISTP256_SHA256
            | SignatureScheme::ECDSA_NISTP384_SHA384
            | SignatureScheme::ECDSA_NISTP521_SHA512
            | SignatureScheme::RSA_PSS_SHA256
            | SignatureScheme::RSA_PSS_SHA384
            | SignatureScheme::RSA_PSS_SHA512
            | SignatureScheme::ED25519
    )
}

/// Verifies a handshake signature with the first `most` algorithms of its scheme.
fn verify_with_key(
    message: &[u8],
    key: PublicKey<'_>,
    signed: &DigitallySignedStruct,
    known: &WebPkiSupportedAlgorithms,
    most: usize,
) -> Result<HandshakeSignatureValid, Error> {
    let mapped = known.mapping.iter();
    let of_scheme = mapped.filter(|(scheme, _)| *scheme == signed.scheme);
    let mut fitting = of_scheme
        .flat_map(|(_, algorithms)| algorithms.iter().take(most))
        .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm);
    let is_valid = fitting.any(|algorithm| {
        let signature = signed.signature();
        algorithm
            .verify_signature(key.bits, message, signature)
            .is_ok()
    });
    if is_valid {
        return Ok(HandshakeSignatureValid::assertion());
    }
    Err(CertificateError::BadSignature.into())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};
    use rustls::pki_types::ServerName;

    use super::{Certificate, is_name, verify_name};

    #[test]
    fn a_common_name_is_never_an_address() {
        for (name, is_valid) in [
            ("redis.internal", true),
            ("127.0.0.1", false),
            ("::1", false),
        ] {
            let mut parameters = CertificateParams::default();
            let subject = &mut parameters.distinguished_name;
            subject.push(DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            let made = parameters.self_signed(&key).unwrap();
            let read = Certificate::read(made.der()).unwrap();
            let wanted = ServerName::try_from(name).unwrap();
            let verified = verify_name(made.der(), &read, &wanted);
            assert_eq!(verified.is_ok(), is_valid, "{name}");
        }
    }

    #[test]
    fn a_common_name_may_be_a_wildcard_of_one_label() {
        assert!(is_name("Redis.Internal", "redis.internal"));
        assert!(is_name("*.cache.internal", "a.cache.internal"));
        for (pattern, name) in [
            ("*.cache.internal", "cache.internal"),
            ("*.cache.internal", "a.b.cache.internal"),
            ("*.internal", "redis.internal"),
            ("*", "redis"),
        ] {
            assert!(!is_name(pattern, name), "{pattern} {name}");
        }
    }
}

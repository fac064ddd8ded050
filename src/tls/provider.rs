//! The crypto provider: ring, with P-521 added. Pure.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{PrivateKeyDer, SignatureVerificationAlgorithm};
use rustls::sign::SigningKey;
use rustls::{Error, SignatureScheme};

use super::p521;

type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let mut ring = ring::default_provider();
    ring.kx_groups.push(p521::KEY_EXCHANGE);
    Arc::new(CryptoProvider {
        signature_verification_algorithms: with_p521(ring.signature_verification_algorithms),
        key_provider: &KeyLoader,
        ..ring
    })
});

/// Returns the provider.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// Adds P-521.
///
/// In TLS 1.2 a scheme names a hash but no curve, so P-521 is tried with all hashes. In TLS 1.3
/// only the first algorithm of a scheme is used. rustls requires static lists, so each exists once
/// per process.
fn with_p521(ring: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    let p521 = [p521::P521_SHA256, p521::P521_SHA384, p521::P521_SHA512];
    let all: Vec<_> = ring.all.iter().copied().chain(p521).collect();
    let further = |scheme| match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => Some(p521::P521_SHA256),
        SignatureScheme::ECDSA_NISTP384_SHA384 => Some(p521::P521_SHA384),
        _ => None,
    };
    let known = ring.mapping.iter().map(|(scheme, algorithms)| {
        let algorithms = algorithms.iter().copied().chain(further(*scheme));
        (*scheme, leaked(algorithms.collect()))
    });
    let new = (
        SignatureScheme::ECDSA_NISTP521_SHA512,
        leaked(vec![p521::P521_SHA512]),
    );
    let mapping: Vec<(SignatureScheme, Algorithms)> = known.chain([new]).collect();
    WebPkiSupportedAlgorithms {
        all: leaked(all),
        mapping: Vec::leak(mapping),
    }
}

fn leaked(algorithms: Vec<&'static dyn SignatureVerificationAlgorithm>) -> Algorithms {
    Vec::leak(algorithms)
}

/// Loads private keys of all kinds that ring supports, and of P-521.
#[derive(Debug)]
struct KeyLoader;

impl KeyProvider for KeyLoader {
    fn load_private_key(&self, der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        match p521::key(&der) {
            Some(key) => Ok(key),
            None => ring::default_provider().key_provider.load_private_key(der),
        }
    }
}

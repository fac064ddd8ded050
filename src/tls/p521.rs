//! Implements P-521, which ring lacks: signatures, private keys, and key exchange.
//!
//! Signatures are those of certificates and handshakes. Key exchange is needed because with TLS 1.2
//! a server only presents a certificate for a curve that the client supports for key exchange.

use std::fmt;
use std::sync::Arc;

use p521::ecdh::EphemeralSecret;
use p521::ecdsa::signature::Signer as _;
use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
use p521::ecdsa::{Signature, SigningKey, VerifyingKey};
use p521::elliptic_curve::rand_core::OsRng;
use p521::pkcs8::DecodePrivateKey as _;
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, SignatureVerificationAlgorithm,
    SubjectPublicKeyInfoDer,
};
use rustls::sign::{Signer, public_key_to_spki};
use rustls::{Error, NamedGroup, PeerMisbehaved, SignatureAlgorithm, SignatureScheme};

/// Length of a field element, in bytes.
const FIELD_BYTES: usize = 66;

/// `ecPublicKey` with `secp521r1`.
const PUBLIC_KEY: AlgorithmIdentifier = AlgorithmIdentifier::from_slice(&[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23,
]);

/// Returns the object identifier of `ecdsa-with-SHA…`, by its last number.
const fn ecdsa_with(number: [u8; 1]) -> [u8; 10] {
    [
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, number[0],
    ]
}

const WITH_SHA256: &[u8] = &ecdsa_with([2]);
const WITH_SHA384: &[u8] = &ecdsa_with([3]);
const WITH_SHA512: &[u8] = &ecdsa_with([4]);

/// Signatures with SHA-256, the default of `openssl`.
pub(super) static P521_SHA256: &dyn SignatureVerificationAlgorithm = &Ecdsa {
    hash: &SHA256,
    signature: AlgorithmIdentifier::from_slice(WITH_SHA256),
};
/// Signatures with SHA-384.
pub(super) static P521_SHA384: &dyn SignatureVerificationAlgorithm = &Ecdsa {
    hash: &SHA384,
    signature: AlgorithmIdentifier::from_slice(WITH_SHA384),
};
/// Signatures with SHA-512, the only ones in TLS 1.3.
pub(super) static P521_SHA512: &dyn SignatureVerificationAlgorithm = &Ecdsa {
    hash: &SHA512,
    signature: AlgorithmIdentifier::from_slice(WITH_SHA512),
};

#[derive(Debug)]
struct Ecdsa {
    hash: &'static Algorithm,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        let padded = padded(digest(self.hash, message).as_ref());
        key.verify_prehash(&padded, &signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        PUBLIC_KEY
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// Pads a hash to the length of a field element. The library rejects hashes of less than half of
/// it.
fn padded(hash: &[u8]) -> [u8; FIELD_BYTES] {
    let mut padded = [0; FIELD_BYTES];
    for (place, byte) in padded.iter_mut().rev().zip(hash.iter().rev()) {
        *place = *byte;
    }
    padded
}

/// Parses a private key of this curve; `None` if it is of another kind.
pub(super) fn key(der: &PrivateKeyDer<'_>) -> Option<Arc<dyn rustls::sign::SigningKey>> {
    let secret = match der {
        PrivateKeyDer::Pkcs8(der) => {
            p521::SecretKey::from_pkcs8_der(der.secret_pkcs8_der()).ok()?
        }
        PrivateKeyDer::Sec1(der) => p521::SecretKey::from_sec1_der(der.secret_sec1_der()).ok()?,
        _ => return None,
    };
    let key = SigningKey::from_bytes(&secret.to_bytes()).ok()?;
    Some(Arc::new(P521Key(Arc::new(key))))
}

#[derive(Clone)]
struct P521Key(Arc<SigningKey>);

impl fmt::Debug for P521Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("P521Key(***)")
    }
}

impl rustls::sign::SigningKey for P521Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let is_offered = offered.contains(&SignatureScheme::ECDSA_NISTP521_SHA512);
        is_offered.then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        let point = VerifyingKey::from(&*self.0).to_encoded_point(false);
        Some(public_key_to_spki(&PUBLIC_KEY, point.as_bytes()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: Result<Signature, _> = self.0.try_sign(message);
        let failed = |_| Error::General("signing with the P-521 key failed".to_owned());
        Ok(signature.map_err(failed)?.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}

/// Key exchange over the curve.
pub(super) static KEY_EXCHANGE: &dyn SupportedKxGroup = &Exchange;

#[derive(Debug)]
struct Exchange;

impl SupportedKxGroup for Exchange {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = EphemeralSecret::random(&mut OsRng);
        let public = p521::EncodedPoint::from(secret.public_key());
        Ok(Box::new(Started { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

struct Started {
    secret: EphemeralSecret,
    public: p521::EncodedPoint,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = |_| Error::from(PeerMisbehaved::InvalidKeyShare);
        let peer = p521::PublicKey::from_sec1_bytes(peer).map_err(invalid)?;
        let shared = self.secret.diffie_hellman(&peer);
        let bytes: &[u8] = shared.raw_secret_bytes();
        Ok(SharedSecret::from(bytes))
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

#[cfg(test)]
mod tests {
    use p521::pkcs8::EncodePrivateKey as _;
    use rustls::pki_types::PrivatePkcs8KeyDer;

    use super::*;
    use crate::tls::x509::PublicKey;

    fn made() -> Arc<dyn rustls::sign::SigningKey> {
        let secret = p521::SecretKey::random(&mut OsRng);
        let der = secret.to_pkcs8_der().unwrap().as_bytes().to_vec();
        key(&PrivatePkcs8KeyDer::from(der).into()).unwrap()
    }

    #[test]
    fn only_signatures_of_the_key_are_verified() {
        let key = made();
        let offered = [
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP521_SHA512,
        ];
        let signature = key
            .choose_scheme(&offered)
            .unwrap()
            .sign(b"message")
            .unwrap();
        let public = key.public_key().unwrap();
        let bits = PublicKey::read(&public).unwrap().bits;
        let verify = |by: &dyn SignatureVerificationAlgorithm, message: &[u8]| {
            by.verify_signature(bits, message, &signature).is_ok()
        };
        assert!(verify(P521_SHA512, b"message"));
        assert!(!verify(P521_SHA512, b"another"));
        assert!(!verify(P521_SHA256, b"message"));
    }

    #[test]
    fn both_sides_of_an_exchange_get_one_secret() {
        let (ours, theirs) = (KEY_EXCHANGE.start().unwrap(), KEY_EXCHANGE.start().unwrap());
        let (our_share, their_share) = (ours.pub_key().to_vec(), theirs.pub_key().to_vec());
        let ours = ours.complete(&their_share).unwrap();
        let theirs = theirs.complete(&our_share).unwrap();
        assert_eq!(ours.secret_bytes(), theirs.secret_bytes());
        assert!(KEY_EXCHANGE.start().unwrap().complete(&[4; 133]).is_err());
    }

    #[test]
    fn a_key_is_not_used_for_schemes_of_other_curves() {
        let key = made();
        let offered = [SignatureScheme::ECDSA_NISTP384_SHA384];
        assert!(key.choose_scheme(&offered).is_none());
        assert_eq!(format!("{key:?}"), "P521Key(***)");
    }
}

//! A certificate authority for tests, and the certificates that it signs.

use std::fs;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
};
use tempfile::TempDir;

/// An authority with a folder for its files.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
    /// The file with its own certificate.
    pub file: String,
}

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// Creates an authority that nobody trusts.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Authorities with the same name are confused with each other.
        let name = folder.path().display().to_string();
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let path = folder.path().join("authority.pem");
        fs::write(&path, certificate.pem()).unwrap();
        Self {
            issuer: Issuer::new(parameters, key),
            folder,
            file: path.to_str().unwrap().to_owned(),
        }
    }

    /// Signs a certificate for a name. The files have the same name.
    pub fn sign(&self, name: &str) -> Pair {
        self.sign_with(name, name, |_| {})
    }

    /// Signs an expired certificate.
    pub fn sign_expired(&self, name: &str) -> Pair {
        self.sign_with(name, "expired", |parameters| {
            parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
        })
    }

    fn sign_with(
        &self,
        name: &str,
        file: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut parameters);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let write = |ending: &str, text: String| {
            let path: PathBuf = self.folder.path().join(format!("{file}.{ending}"));
            // A rotation replaces whole files.
            let new = path.with_extension("new");
            fs::write(&new, text).unwrap();
            fs::rename(&new, &path).unwrap();
            path.to_str().unwrap().to_owned()
        };
        Pair {
            certificate: write("pem", certificate.pem()),
            key: write("key", key.serialize_pem()),
        }
    }
}

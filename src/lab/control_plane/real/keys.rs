//! The key pair that a real API server signs service account tokens with.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};

use super::super::super::floor::write_private;

/// What stands before the point of a P-256 key in a SubjectPublicKeyInfo (RFC 5480, section 2).
const P256_PUBLIC_KEY_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Octets of base64 on a line of a PEM file.
const LINE: usize = 64;

/// Writes a new private key and its public half; gives the two files.
pub(super) fn write_service_account_keys(dir: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let random = SystemRandom::new();
    let private = EcdsaKeyPair::generate_pkcs8(algorithm, &random);
    let private = private.map_err(|_| anyhow!("no random numbers for a key"))?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), &random);
    let pair = pair.map_err(|error| anyhow!("an ill key: {error}"))?;
    let public = [&P256_PUBLIC_KEY_INFO, pair.public_key().as_ref()].concat();
    let files = (
        dir.join("service-account.key"),
        dir.join("service-account.pub"),
    );
    write_private(&files.0, &pem("PRIVATE KEY", private.as_ref()))?;
    write_private(&files.1, &pem("PUBLIC KEY", &public))?;
    Ok(files)
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (at, character) in STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text + &format!("\n-----END {label}-----\n")
}

//! The management key: configured, or generated once and kept beside the data.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gpt_load_schema::secret::Secret;

/// Random bytes in a generated key: 256 bits.
const RANDOM_BYTES: usize = 32;

/// The management key and where it came from.
#[derive(Clone, Debug)]
pub struct ManagementKey {
    /// The key.
    pub secret: Secret,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a management key came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `AUTH_KEY`.
    Configured,
    /// Generated at an earlier start.
    File(PathBuf),
    /// Generated just now.
    Generated(PathBuf),
}

/// The key file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}; set AUTH_KEY, or make the folder writable (DATA_DIR)", path.display())]
pub struct KeyFileError {
    path: PathBuf,
    reason: io::Error,
}

/// The configured key, else the one in `data_dir/auth_key`, which is made (mode 0600) if it is not there.
///
/// # Errors
///
/// When the file cannot be read or made, or is empty.
pub fn obtain(configured: Option<&Secret>, data_dir: &Path) -> Result<ManagementKey, KeyFileError> {
    if let Some(secret) = configured {
        return Ok(ManagementKey { secret: secret.clone(), origin: Origin::Configured });
    }
    let path = data_dir.join("auth_key");
    let fail = |reason| KeyFileError { path: path.clone(), reason };
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => {
            Ok(ManagementKey { secret: text.trim().into(), origin: Origin::File(path) })
        }
        Ok(_) => Err(fail(io::Error::new(io::ErrorKind::InvalidData, "the file is empty; delete it to get a new key"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = generate("");
            write_private(&path, secret.expose()).map_err(fail)?;
            Ok(ManagementKey { secret, origin: Origin::Generated(path) })
        }
        Err(error) => Err(fail(error)),
    }
}

/// A random secret after `prefix`.
pub fn generate(prefix: &str) -> Secret {
    let random: [u8; RANDOM_BYTES] = rand::random();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random)).into()
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_private_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = obtain(None, &data).unwrap();
        assert!(matches!(first.origin, Origin::Generated(_)));
        assert!(first.secret.expose().len() >= 43);
        let second = obtain(None, &data).unwrap();
        assert!(matches!(second.origin, Origin::File(_)));
        assert_eq!(first.secret, second.secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(data.join("auth_key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let configured = obtain(Some(&"configured".into()), &data).unwrap();
        assert_eq!(configured.secret.expose(), "configured");
    }

    #[test]
    fn an_empty_key_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("auth_key"), "\n").unwrap();
        let error = obtain(None, folder.path()).unwrap_err().to_string();
        assert!(error.contains("empty"), "{error}");
    }
}

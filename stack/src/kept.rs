//! Small things that stay the same from one start to the next: passwords, and ports, so that a URL
//! someone copied still works tomorrow.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::Error;

/// The password in this file, made up at the first call. Only we may read it.
pub(crate) fn secret(path: &Path) -> Result<String, Error> {
    match fs::read_to_string(path) {
        Ok(text) if !text.is_empty() => Ok(text),
        Ok(_) => make_secret(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_secret(path),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

fn make_secret(path: &Path) -> Result<String, Error> {
    // 128 random bits. The letter in front keeps nats-server from reading a number.
    let secret = format!("p{:032x}", rand::random::<u128>());
    write_private(path, &secret)?;
    Ok(secret)
}

/// Writes a file that is complete or absent, whenever we are killed, and readable by us alone.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let draft = path.with_added_extension("new");
    let write = || -> io::Result<()> {
        // A draft of a start that was killed may have another mode or owner.
        if draft.exists() {
            fs::remove_file(&draft)?;
        }
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(Error::file("write", path))
}

/// A port of 127.0.0.1 that is free now: the one in this file, or another, which is kept.
pub(crate) fn port(path: &Path) -> Result<u16, Error> {
    let kept = fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    if let Some(port) = kept.filter(|port| free(*port).is_ok()) {
        return Ok(port);
    }
    let port = free(0).map_err(Error::file("find a free port for", path))?;
    write_private(path, &port.to_string())?;
    Ok(port)
}

/// Which port it was, as 0 means any. It is given back at once, for the server to take.
fn free(port: u16) -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?
        .local_addr()?
        .port())
}

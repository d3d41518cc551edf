//! Passwords that production must not start with: those that programs come with, and that everybody
//! tries first. The staff token and master keys are judged where they are read.

use std::net::IpAddr;

use url::Url;

/// Passwords of examples and images, in lower case; beside them, the user's own name.
const KNOWN: [&str; 22] = [
    "123456",
    "12345678",
    "admin",
    "change-me",
    "change_me",
    "changeit",
    "changeme",
    "daybook",
    "default",
    "example",
    "guest",
    "letmein",
    "nats",
    "pass",
    "passwd",
    "password",
    "postgres",
    "qwerty",
    "root",
    "s3cr3t",
    "secret",
    "test",
];

/// Somebody would guess it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the password in {setting} is one that everybody tries first: give {host} another, such as the \
     output of `openssl rand -hex 24`"
)]
pub struct KnownPassword {
    /// Which setting.
    setting: &'static str,
    /// Whose password.
    host: String,
}

/// Refuses a known password of a server on another machine. On this machine it may be the one that a
/// container came with, which nobody else reaches.
pub fn no_known_password(setting: &'static str, addresses: &str) -> Result<(), KnownPassword> {
    for address in addresses.split(',').map(str::trim) {
        // What cannot be read is told by whoever connects to it.
        let Ok(url) = address.parse::<Url>() else {
            continue;
        };
        let Some(host) = url.host_str().filter(|host| !is_here(host)) else {
            continue;
        };
        let Some(password) = url.password().map(decoded) else {
            continue;
        };
        let is_known = KNOWN.contains(&password.to_lowercase().as_str());
        if is_known || password == decoded(url.username()) {
            return Err(KnownPassword { setting, host: host.to_owned() });
        }
    }
    Ok(())
}

/// `%6eats` is `nats`.
fn decoded(text: &str) -> String {
    // A form would write spaces as plus signs; a password may hold one.
    let text = text.replace('+', "%2B");
    let pairs = form_urlencoded::parse(text.as_bytes());
    pairs.map(|(name, _)| name.into_owned()).collect()
}

fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = bare.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str) -> bool {
        no_known_password("DATABASE_URL", address).is_err()
    }

    #[test]
    fn a_password_that_everybody_tries_is_refused_on_other_machines() {
        for address in [
            "postgres://daybook:postgres@db.example/daybook",
            "postgres://daybook:Daybook@10.0.0.5:5432/daybook",
            "postgres://shop:shop@db.example/daybook",
            "nats://daybook:%6eats@nats.example:4222",
            "nats://a:1f0c9a77d3@nats-1.example,nats://a:secret@nats-2.example",
        ] {
            assert!(refused(address), "{address}");
        }
    }

    #[test]
    fn a_password_of_chance_or_of_this_machine_is_taken() {
        for address in [
            "postgres://daybook:1f0c9a77d3b24c@db.example/daybook",
            "postgres://postgres:postgres@localhost/daybook",
            "postgres://postgres:postgres@127.0.0.1:5432/daybook",
            "postgres://postgres:postgres@[::1]/daybook",
            "postgres:///daybook?host=/run/postgresql&user=postgres",
            "nats://nats.example:4222",
            "nats.example:4222",
            "",
        ] {
            assert!(!refused(address), "{address}");
        }
    }

    #[test]
    fn the_refusal_says_what_to_do_and_not_the_password() {
        let refusal = no_known_password("NATS_URL", "nats://a:letmein@nats.example").unwrap_err();
        let told = refusal.to_string();
        assert!(told.contains("NATS_URL") && told.contains("openssl"), "{told}");
        assert!(!told.contains("letmein"), "{told}");
    }
}

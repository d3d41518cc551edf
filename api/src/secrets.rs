//! Secrets that production must not start with: passwords that programs come with and that everybody
//! tries first, and webhook secrets without chance in them. The staff token and master keys are judged
//! where they are read.

use std::net::IpAddr;

use gateways::settings::Environment;
use store::guessing::is_guessable;
use url::Url;

/// Shortest webhook secret of an operator's choice: 96 bits in hexadecimal. Some providers bound it.
const WEBHOOK_CHARS_MIN: usize = 24;

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

/// Somebody could guess it, and make up webhooks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{setting} is too easy to guess, and whoever guesses it makes up webhooks: give it, and the \
     provider's settings, at least {WEBHOOK_CHARS_MIN} characters of chance, such as the output of \
     `openssl rand -hex 24`"
)]
pub struct GuessableWebhookSecret {
    /// Which setting.
    setting: &'static str,
}

/// Refuses webhook secrets that operators choose and that somebody could guess.
pub fn no_guessable_webhook_secret(
    environment: &Environment,
) -> Result<(), GuessableWebhookSecret> {
    let mut chosen = environment.chosen_secrets();
    match chosen.find(|(_, secret)| is_guessable(secret, WEBHOOK_CHARS_MIN)) {
        Some((setting, _)) => Err(GuessableWebhookSecret { setting }),
        None => Ok(()),
    }
}

/// Refuses a known password of a server on another machine. On this machine it may be the one that a
/// container came with, which nobody else reaches.
pub fn no_known_password(setting: &'static str, addresses: &str) -> Result<(), KnownPassword> {
    for address in addresses.split(',').map(str::trim) {
        // What cannot be read is told by whoever connects to it.
        let Ok(url) = address.parse::<Url>() else {
            continue;
        };
        let Some(host) = host_of(&url).filter(|host| !is_here(host)) else {
            continue;
        };
        let user = in_query(&url, &["user"]).unwrap_or_else(|| decoded(url.username()));
        let is_known = |password: &String| KNOWN.contains(&password.to_lowercase().as_str());
        let known = passwords_of(&url).any(|password| is_known(&password) || password == user);
        // NATS takes a token in the place of a user without a password.
        let is_nats = !url.scheme().starts_with("postgres");
        if known || is_nats && url.password().is_none() && is_known(&user) {
            return Err(KnownPassword { setting, host });
        }
    }
    Ok(())
}

/// Where the server is: Postgres also takes that in the query, and goes there then.
fn host_of(url: &Url) -> Option<String> {
    in_query(url, &["host", "hostaddr"]).or_else(|| url.host_str().map(decoded))
}

/// Before the host, and where Postgres takes one as well.
fn passwords_of(url: &Url) -> impl Iterator<Item = String> {
    let before = url.password().map(decoded);
    before.into_iter().chain(in_query(url, &["password"]))
}

/// The last of these in the query.
fn in_query(url: &Url, names: &[&str]) -> Option<String> {
    let pairs = url.query_pairs();
    let of_these = pairs.filter(|(name, _)| names.contains(&&**name));
    of_these.map(|(_, value)| value.into_owned()).last()
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
    // Of a socket, its directory.
    host.starts_with('/')
        || host == "localhost"
        || address.is_some_and(|address| address.is_loopback())
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
            "nats://secret@nats.example:4222",
            "tls://%6eats@nats.example:4222",
            "postgres://daybook@db.example/daybook?password=postgres",
            "postgres://db.example/daybook?user=shop&password=shop",
            "postgres:///daybook?host=db.example&user=daybook&password=daybook",
            "postgres://daybook:postgres@localhost/daybook?host=db.example",
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
            "nats://1f0c9a77d3b24c@nats.example:4222",
            "nats://nats@127.0.0.1:4222",
            "postgres://postgres@db.example/daybook",
            "postgres://daybook@db.example/daybook?password=1f0c9a77d3b24c&sslmode=require",
            "postgres:///daybook?host=/run/postgresql&user=postgres&password=postgres",
            "",
        ] {
            assert!(!refused(address), "{address}");
        }
    }

    #[test]
    fn a_webhook_secret_of_ones_choice_has_chance_in_it() {
        let judged = |name: &str, secret: &str| {
            no_guessable_webhook_secret(&Environment::of([(name, secret)]))
        };
        let chance = format!("{:032x}", rand::random::<u128>());
        for name in [
            "FLUTTERWAVE_SECRET_HASH",
            "FLUTTERWAVE_V4_SECRET_HASH",
            "SANDBOX_WEBHOOK_SECRET",
        ] {
            for weak in ["hash", "my-secret-hash", "changeme-changeme-changeme"] {
                let told = judged(name, weak).unwrap_err().to_string();
                assert!(told.contains(name) && !told.contains(weak), "{told}");
            }
            assert_eq!(judged(name, &chance), Ok(()));
            assert_eq!(judged(name, " "), Ok(()), "not set");
        }
        // Chosen by the provider.
        assert_eq!(judged("STRIPE_WEBHOOK_SECRET", "whsec_1"), Ok(()));
    }

    #[test]
    fn the_refusal_says_what_to_do_and_not_the_password() {
        let refusal = no_known_password("NATS_URL", "nats://a:letmein@nats.example").unwrap_err();
        let told = refusal.to_string();
        assert!(told.contains("NATS_URL") && told.contains("openssl"), "{told}");
        assert!(!told.contains("letmein"), "{told}");
    }
}

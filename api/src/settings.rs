//! What can be set, by flag or by environment variable, and what of it is too weak to start with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use gateways::settings::Environment;
use sealing::keys::{self, BadKey};
use sealing::sealer;
use store::guessing::is_guessable;
use store::masters::{BadMasterKey, MasterKeys};
use workers::providers::Pauses;

use crate::breakers::Breakers;
use crate::http::protection::{self, Rates};
use crate::node::{NodeSettings, Role};

/// Shortest staff token in production: 128 bits in hexadecimal.
const TOKEN_CHARS_MIN: usize = 32;
/// Where `daybook dev` keeps the master key of personal data, below its data directory.
pub(crate) const MASTER_KEY_FILE: &str = "master-key";

/// What holds however Daybook is run.
#[derive(Debug, Clone, clap::Args)]
pub struct Tuning {
    /// Seconds that stock is held and money awaited; a few, to see orders time out by hand
    #[arg(
        long, env = "DAYBOOK_PAYMENT_WINDOW", value_name = "SECONDS", default_value_t = 900,
        value_parser = clap::value_parser!(u32).range(1..=2_592_000)
    )]
    pub payment_window: u32,
    /// Whether orders have to name a shipping method, whose price is then Daybook's to say; what staff
    /// place need not
    #[arg(
        long, env = "DAYBOOK_SHIPPING_REQUIRED", value_name = "BOOL", default_value_t = false,
        action = clap::ArgAction::Set
    )]
    pub shipping_required: bool,
    /// Seconds that an order which fraud rules hold waits for staff before it fails: a day
    #[arg(
        long, env = "DAYBOOK_REVIEW_WINDOW", value_name = "SECONDS", default_value_t = 86_400,
        value_parser = clap::value_parser!(u32).range(1..=2_592_000)
    )]
    pub review_window: u32,
    /// Seconds that an access token is believed: 15 minutes, at most 2 days
    #[arg(
        long, env = "DAYBOOK_ACCESS_LIFE", value_name = "SECONDS", default_value_t = 900,
        value_parser = clap::value_parser!(u32).range(60..=172_800)
    )]
    pub access_life: u32,
    /// Name of the JetStream stream; Daybooks that share one NATS have one each
    #[arg(long, env = "DAYBOOK_STREAM", default_value = "daybook")]
    pub stream: String,
    /// Bytes that the stream keeps; JetStream reserves them
    #[arg(
        long, env = "DAYBOOK_STREAM_BYTES_MAX", value_name = "BYTES",
        default_value_t = store::stream::STREAM_BYTES_DEFAULT
    )]
    pub stream_bytes_max: i64,
    /// Events that the checkout process may be behind the log before new orders are told to come
    /// later
    #[arg(
        long, env = "DAYBOOK_BACKLOG_MAX", value_name = "EVENTS",
        default_value_t = workers::backlog::EVENTS_MAX_DEFAULT,
        value_parser = clap::value_parser!(i64).range(1..)
    )]
    pub backlog_max: i64,
    /// Days that an exchange rate may be old and still count. Five pass every weekend and holiday of
    /// the ECB: over Easter, Thursday's rate is the newest until Tuesday afternoon
    #[arg(
        long, env = "DAYBOOK_RATE_DAYS_MAX", value_name = "DAYS", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(0..=366)
    )]
    pub rate_days_max: u16,
    /// How long a silent payment provider is waited for until it is asked what became of a payment,
    /// one pause after another, the last for ever; s, m, h or d
    #[arg(
        long,
        env = "DAYBOOK_POLL_PAUSES",
        value_name = "PAUSES",
        default_value = "5m,1h,1d"
    )]
    pub poll_pauses: Pauses,
    /// When nobody is sent to a payment provider for a while.
    #[command(flatten)]
    pub breakers: Breakers,
    /// Percent of a processor's time that the self-audit takes at most; 0 for none
    #[arg(
        long, env = "DAYBOOK_SELF_AUDIT", value_name = "PERCENT", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(0..=100)
    )]
    pub self_audit: u32,
    /// Directory of SQL files that are read models of your own (docs/PROJECTIONS.md)
    #[arg(long, env = "DAYBOOK_SQL_PROJECTIONS", value_name = "DIR")]
    pub sql_projections: Option<PathBuf>,
    /// How the log is sealed.
    #[command(flatten)]
    pub sealing: Sealing,
    /// How personal data is sealed.
    #[command(flatten)]
    pub personal: Personal,
    /// How HTTP is protected.
    #[command(flatten)]
    pub protection: protection::Flags,
}

/// How personal data is sealed (docs/PRIVACY.md).
#[derive(Clone, clap::Args)]
pub struct Personal {
    /// Keys that wrap the keys of personal data: 64 hexadecimal digits each, separated by commas; the
    /// first wraps, the others still unwrap. `none` keeps personal data in clear
    #[arg(
        long,
        env = "DAYBOOK_MASTER_KEY",
        value_name = "KEYS",
        hide_env_values = true
    )]
    pub master_key: Option<String>,
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Personal")
    }
}

/// What to do about personal data.
#[derive(Debug, Clone)]
pub enum Keeping {
    /// Seal it.
    Sealed(MasterKeys),
    /// Keep it in clear: that is what somebody wants.
    InClear,
    /// Nobody has said.
    Unsaid,
}

impl Keeping {
    /// The keys, if there are any.
    pub fn masters(self) -> Option<MasterKeys> {
        match self {
            Self::Sealed(masters) => Some(masters),
            Self::InClear | Self::Unsaid => None,
        }
    }
}

impl Personal {
    /// What was said about personal data.
    pub fn read(&self) -> Result<Keeping, BadMasterKey> {
        match given(self.master_key.as_ref()) {
            None => Ok(Keeping::Unsaid),
            Some(text) if text.trim() == "none" => Ok(Keeping::InClear),
            Some(text) => text.parse().map(Keeping::Sealed),
        }
    }

    /// The same, where a data directory may hold the key.
    pub fn read_or_kept_in(&self, data_dir: &Path) -> Result<Keeping, BadMasterKey> {
        match self.read()? {
            Keeping::Unsaid => match std::fs::read_to_string(data_dir.join(MASTER_KEY_FILE)) {
                Ok(text) => Self { master_key: Some(text) }.read(),
                Err(_none) => Ok(Keeping::Unsaid),
            },
            said => Ok(said),
        }
    }
}

/// Instead of a file of heads: there is none, as meant.
const NO_HEADS_FILE: &str = "none";

/// How the log is sealed (docs/AUDIT.md).
#[derive(Debug, Clone, clap::Args)]
pub struct Sealing {
    /// File with the secret keys that sign the log's heads; without it, this process does not seal
    #[arg(long, env = "DAYBOOK_SEAL_KEY_FILE", value_name = "FILE")]
    pub seal_key_file: Option<PathBuf>,
    /// Longest time in seconds that an event waits for its head
    #[arg(
        long, env = "DAYBOOK_SEAL_EVERY", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=60)
    )]
    pub seal_every: u32,
    /// File that heads are appended to as well, where the database's administrator has no hand; or
    /// `none`, if whoever can write to the database may rewrite history
    #[arg(long, env = "DAYBOOK_HEADS_FILE", value_name = "FILE")]
    pub heads_file: Option<PathBuf>,
}

/// Why the log cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum BadSealing {
    /// The file cannot be read.
    #[error("the seal key cannot be read from {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Whoever can write to the database could have anything signed.
    #[error(
        "--seal-key-file needs --heads-file: a file on an append-only share, or one that is copied \
         away, or after a restart nothing but the database says what was signed, and whoever can \
         write there can have a rewritten history signed; `none` if this is what you want"
    )]
    NoHeadsFile,
    /// It holds something else.
    #[error("{}: {source}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: BadKey,
    },
}

impl Sealing {
    /// Reads the keys; nothing where there is no file of keys.
    pub fn read(&self) -> Result<Option<sealer::Settings>, BadSealing> {
        let Some(path) = named(self.seal_key_file.as_deref()) else {
            return Ok(None);
        };
        let settings = self.with(path, self.heads_file.clone())?;
        if named(self.heads_file.as_deref()).is_none() {
            return Err(BadSealing::NoHeadsFile);
        }
        Ok(Some(settings))
    }

    /// The same with a file of keys and a file of heads of somebody's choice.
    pub(crate) fn with(
        &self,
        path: &Path,
        heads_file: Option<PathBuf>,
    ) -> Result<sealer::Settings, BadSealing> {
        let path = path.to_owned();
        let keys = match std::fs::read_to_string(&path) {
            Ok(text) => keys::in_file(&text),
            Err(source) => return Err(BadSealing::Unreadable { path, source }),
        };
        let keys = keys.map_err(|source| BadSealing::Key { path, source })?;
        Ok(sealer::Settings {
            keys,
            every: Duration::from_secs(self.seal_every.into()),
            heads_file: heads_file
                .filter(|path| named(Some(path)).is_some() && path != Path::new(NO_HEADS_FILE)),
        })
    }
}

/// A path in a variable that is empty is none.
fn named(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !path.as_os_str().is_empty())
}

impl Tuning {
    /// The settings of a process.
    pub fn node(&self, urls: Urls, roles: &[Role], staff_token: &StaffToken) -> NodeSettings {
        NodeSettings {
            database_url: urls.database,
            nats_url: urls.nats,
            stream: self.stream.clone(),
            stream_bytes_max: self.stream_bytes_max,
            roles: roles.to_vec(),
            staff_token: staff_token.0.clone(),
            accounts: accounts::Settings {
                access_life: Duration::from_secs(self.access_life.into()),
                log_mail: false,
            },
            payment_window: Duration::from_secs(self.payment_window.into()),
            shipping_required: self.shipping_required,
            review_window: Duration::from_secs(self.review_window.into()),
            poll_pauses: self.poll_pauses.clone(),
            breakers: self.breakers.thresholds(),
            backlog_max: self.backlog_max,
            rate_days_max: self.rate_days_max,
            self_audit: self.self_audit,
            sql_projections: self
                .sql_projections
                .clone()
                .filter(|path| !path.as_os_str().is_empty()),
            sealing: None,
            masters: None,
            environment: Environment::of_process(),
            protection: self.protection.over(Rates::production()),
        }
    }
}

/// Where the servers are.
#[derive(Clone)]
pub struct Urls {
    /// Postgres.
    pub database: String,
    /// NATS.
    pub nats: String,
}

/// Whoever shows it is staff. Never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct StaffToken(String);

/// Why a token will not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// No HTTP header could carry it.
    #[error("a staff token has visible ASCII characters only, and at least one")]
    Unsendable,
    /// It can be guessed.
    #[error(
        "the staff token is too easy to guess: give DAYBOOK_STAFF_TOKEN at least \
         {TOKEN_CHARS_MIN} characters of chance, such as the output of `openssl rand -hex 32`"
    )]
    Weak,
}

impl FromStr for StaffToken {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadToken::Unsendable)
        }
    }
}

impl StaffToken {
    /// Makes one up: 192 bits of chance.
    pub fn random() -> Self {
        Self(format!("{:032x}{:016x}", rand::random::<u128>(), rand::random::<u64>()))
    }

    /// To be shown to whoever may see it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Refuses what production must not start with.
    pub fn must_be_strong(&self) -> Result<(), BadToken> {
        if is_guessable(&self.0, TOKEN_CHARS_MIN) {
            Err(BadToken::Weak)
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for StaffToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaffToken")
    }
}

/// An environment variable that is set to nothing is not set.
pub(crate) fn given(value: Option<&String>) -> Option<String> {
    value.filter(|value| !value.trim().is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_chance_is_strong_and_one_from_a_desk_is_not() {
        assert_eq!(StaffToken::random().must_be_strong(), Ok(()));
        for weak in [
            "secret",
            "changeme-changeme",
            "changeme-changeme-changeme-changeme",
            "0123456789abcdef0123456789abcdef",
            &"a".repeat(64),
            &"staff".repeat(12),
        ] {
            let token: StaffToken = weak.parse().unwrap();
            assert_eq!(token.must_be_strong(), Err(BadToken::Weak), "{weak}");
        }
    }

    #[test]
    fn a_master_key_may_be_given_kept_or_declined() {
        let home = tempfile::tempdir().unwrap();
        let read = |text: Option<&str>| {
            let personal = Personal { master_key: text.map(ToOwned::to_owned) };
            personal.read_or_kept_in(home.path())
        };
        let key = MasterKeys::random_text();
        assert!(matches!(read(None), Ok(Keeping::Unsaid)));
        assert!(matches!(read(Some(" ")), Ok(Keeping::Unsaid)));
        assert!(matches!(read(Some("none")), Ok(Keeping::InClear)));
        assert!(matches!(read(Some(&key)), Ok(Keeping::Sealed(_))));
        assert!(matches!(read(Some("hunter2")), Err(BadMasterKey::NotAKey)));
        std::fs::write(home.path().join(MASTER_KEY_FILE), &key).unwrap();
        assert!(matches!(read(None), Ok(Keeping::Sealed(_))));
        assert!(matches!(read(Some("none")), Ok(Keeping::InClear)));
        let shown = format!("{:?}", Personal { master_key: Some(key.clone()) });
        assert!(!shown.contains(&key));
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_refused() {
        for bad in ["", "  ", "two words", "tökén"] {
            assert_eq!(bad.parse::<StaffToken>(), Err(BadToken::Unsendable), "{bad}");
        }
        assert_eq!(" token\n".parse::<StaffToken>().unwrap().reveal(), "token");
    }

    #[test]
    fn a_token_is_not_printed_by_accident() {
        assert!(!format!("{:?}", StaffToken("hunter2".into())).contains("hunter2"));
    }
}

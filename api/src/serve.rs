//! `daybook serve`: production. Brings nothing along: Postgres and NATS are given, secrets as well.

use std::net::SocketAddr;

use gateways::settings::Environment;
use sealing::sealer;
use store::masters::BadMasterKey;
use tokio::sync::watch;

use crate::http::{self, BindError, metrics};
use crate::node::{Node, Role, StartError};
use crate::secrets::{
    GuessableWebhookSecret, KnownPassword, no_guessable_webhook_secret, no_known_password,
};
use crate::settings::{BadSealing, BadToken, Keeping, StaffToken, Tuning, Urls};
use crate::signals::Signals;

/// Flags of `daybook serve`.
// No Debug: the addresses hold passwords.
#[derive(Clone, clap::Args)]
pub struct Args {
    /// What this process does; without `api`, only health and metrics are served
    #[arg(
        long,
        env = "DAYBOOK_ROLES",
        value_enum,
        value_delimiter = ',',
        default_value = "api,relay,projector,worker"
    )]
    pub roles: Vec<Role>,
    /// Address to listen at
    #[arg(long, env = "DAYBOOK_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Postgres
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// NATS with `JetStream`
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: String,
    /// Whoever shows this token is staff; at least 32 characters of chance
    #[arg(long, env = "DAYBOOK_STAFF_TOKEN", hide_env_values = true)]
    pub staff_token: StaffToken,
    /// What holds however Daybook is run.
    #[command(flatten)]
    pub tuning: Tuning,
}

/// Why production does not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody could guess it.
    #[error(transparent)]
    Token(#[from] BadToken),
    /// Somebody would guess it.
    #[error(transparent)]
    Password(#[from] KnownPassword),
    /// Somebody could make up webhooks.
    #[error(transparent)]
    Webhook(#[from] GuessableWebhookSecret),
    /// The file of keys.
    #[error(transparent)]
    Sealing(#[from] BadSealing),
    /// What personal data is sealed with.
    #[error(transparent)]
    MasterKey(#[from] BadMasterKey),
    /// The address is taken.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Postgres, NATS or the read models.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The system does not let us hear its signals.
    #[error("signals cannot be heard: {0}")]
    Signals(#[from] std::io::Error),
}

/// A shop that was begun without a key goes on; but nobody shall find out by accident.
fn tell_of_clear(personal: &Keeping) {
    match personal {
        Keeping::Sealed(_) => {}
        Keeping::InClear => tracing::info!("personal data is kept in clear, as told"),
        Keeping::Unsaid => tracing::warn!(
            "there is no DAYBOOK_MASTER_KEY: names, addresses and telephone numbers go into the log \
             in clear, and can never be forgotten; set it to the output of `openssl rand -hex 32` \
             and keep a copy of that, or to `none` if this is what you want"
        ),
    }
}

/// What nobody seals can be changed by whoever administers the database, and nothing gives it away.
fn tell_of_sealing(sealing: Option<&sealer::Settings>) {
    match sealing {
        Some(sealer::Settings { heads_file: Some(_), .. }) => {}
        Some(_) => tracing::warn!(
            "--heads-file is `none`: after a restart nothing but the database says what was signed"
        ),
        None => tracing::warn!(
            "there is no --seal-key-file: this process does not seal the log, and unless another \
             does, nothing proves that history was not altered; `daybook seal-key` makes a key"
        ),
    }
}

/// Serves until told to stop.
pub async fn run(args: Args) -> Result<(), Error> {
    args.staff_token.must_be_strong()?;
    no_known_password("DATABASE_URL", &args.database_url)?;
    no_known_password("NATS_URL", &args.nats_url)?;
    no_guessable_webhook_secret(&Environment::of_process())?;
    let sealing = args.tuning.sealing.read()?;
    tell_of_sealing(sealing.as_ref());
    let personal = args.tuning.personal.read()?;
    tell_of_clear(&personal);
    let mut signals = Signals::listen()?;
    let listener = http::bind(args.listen).await?;
    let urls = Urls { database: args.database_url, nats: args.nats_url };
    let mut settings = args.tuning.node(urls, &args.roles, &args.staff_token);
    settings.sealing = sealing;
    settings.masters = personal.masters();
    let node = tokio::select! {
        node = Node::start(&settings, metrics::recorder()) => node?,
        () = signals.stop() => return Ok(()),
    };
    tracing::info!(address = %args.listen, roles = ?args.roles, "serving");

    let (stop, stopped) = watch::channel(false);
    let app = node.app.clone();
    let server = if args.roles.contains(&Role::Api) {
        tokio::spawn(http::serve(listener, app, stopped))
    } else {
        tokio::spawn(http::serve_operation(listener, app, stopped))
    };
    signals.stop().await;
    tracing::info!("stopping");
    stop.send_replace(true);
    let stopping = async {
        if let Err(error) = server.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the server broke down");
        }
        node.stop().await;
    };
    tokio::select! {
        () = stopping => {}
        () = signals.stop() => tracing::warn!("stopped at once, as told twice"),
    }
    Ok(())
}

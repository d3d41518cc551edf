//! Read models that are no part of the program: SQL files of the operator's, given events in order.
//!
//! ```text
//! file ─▶ schema own_<name> ◀── one transaction: batch filled, its statements run, mark moved
//! ```
//!
//! Invariants:
//! 1. A file works on its own schema alone: no name of Daybook's is on its search path, and the role
//!    that it runs as, where there is one, has no right to anything else.
//! 2. Its rows and its mark (`own.marks`) commit together, or not at all.
//! 3. A file that fails stops only itself, and says why.

mod file;
mod running;

use std::path::Path;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor as _, PgPool};
use store::feed::Feeds;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::file::SqlFile;
use crate::error::Error;
use crate::live::{Live, State};
use crate::marks;
use crate::projector::Projector;

/// Most files: each has a connection and a projector of its own.
const FILES_MAX: usize = 32;
/// What files are run as, where we may make it or somebody has.
const ROLE: &str = "daybook_sql";
/// For queries that are not ours, plans are the planner's business.
const PLANNED: [&str; 3] = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"];

/// One SQL file.
struct SqlModel {
    name: String,
    /// Its name in its directory.
    file: String,
    /// What runs it; or why nothing does until somebody mends it and starts again.
    runs: Result<Runs, String>,
}

struct Runs {
    file: &'static SqlFile,
    pool: PgPool,
    live: Arc<Live>,
}

/// All SQL files of a directory. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct SqlModels(Arc<Vec<SqlModel>>);

/// How a SQL file does.
#[derive(Debug, Clone)]
pub struct SqlStatus {
    /// The file's name without its ending.
    pub name: String,
    /// The file, in its directory.
    pub file: String,
    /// How far it has been given events.
    pub position: i64,
    /// Events that it is behind the log.
    pub lag: i64,
    /// As that of any read model.
    pub state: State,
}

impl SqlModels {
    /// Reads the files of a directory, and makes the tables of those that are new or have changed.
    /// What is wrong with one of them is its own affair.
    pub(crate) async fn open(pool: &PgPool, directory: &Path) -> Result<Self, Error> {
        pool.execute(include_str!("sql/marks.sql")).await?;
        let role = role(pool).await?;
        let mut models = Vec::new();
        for (file, read) in file::all(directory, FILES_MAX)? {
            let name = file.strip_suffix(".sql").unwrap_or(&file).to_owned();
            let runs = match read {
                Ok(read) => open_one(pool, read.run_as(role)).await,
                Err(why) => Err(why),
            };
            if let Err(why) = &runs {
                tracing::error!(projection = name, why, "a SQL projection does not run");
            }
            models.push(SqlModel { name, file, runs });
        }
        Ok(Self(Arc::new(models)))
    }

    /// Runs them until told to stop.
    pub(crate) fn spawn(
        &self,
        feeds: &Feeds,
        stop: &watch::Receiver<bool>,
        running: &mut JoinSet<()>,
    ) {
        for model in self.0.iter() {
            if let Ok(Runs { file, pool, live }) = &model.runs {
                let (pool, live) = (pool.clone(), Arc::clone(live));
                let projector = Projector { projection: *file, pool, live };
                running.spawn(projector.run(feeds.subscribe(), stop.clone()));
            }
        }
    }

    /// How they do.
    pub(crate) async fn statuses(&self, pool: &PgPool) -> Result<Vec<SqlStatus>, Error> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let select = "select name, own.marks.position, log_head.position from own.marks, log_head";
        let marks: Vec<(String, i64, i64)> = sqlx::query_as(select).fetch_all(pool).await?;
        let head = store::log::head(pool).await?;
        let status = |model: &SqlModel| {
            let mark = marks.iter().find(|(name, ..)| *name == model.name);
            let (position, head) = mark.map_or((0, head), |(_, position, head)| (*position, *head));
            SqlStatus {
                name: model.name.clone(),
                file: model.file.clone(),
                position,
                lag: head.saturating_sub(position).max(0),
                state: match &model.runs {
                    Ok(runs) => runs.live.state(),
                    Err(why) => State::Failed(why.clone()),
                },
            }
        };
        Ok(self.0.iter().map(status).collect())
    }

    #[cfg(test)]
    pub(crate) fn projector_of(&self, name: &str) -> Projector {
        let model = self.0.iter().find(|model| model.name == name).unwrap();
        let Ok(Runs { file, pool, live }) = &model.runs else {
            panic!("{name} runs")
        };
        Projector { projection: *file, pool: pool.clone(), live: Arc::clone(live) }
    }
}

async fn open_one(pool: &PgPool, file: SqlFile) -> Result<Runs, String> {
    let options = PgConnectOptions::clone(&pool.connect_options())
        // Marks are ours, and found first; the file's statements have a search path of their own.
        .options([("search_path", "own,public"), ("synchronous_commit", "off")])
        .options(PLANNED.map(|setting| (setting, "on")));
    let role = file.role();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .after_connect(move |connection, _| Box::pin(running::prepare(connection, role)))
        .connect_lazy_with(options);
    // As long as the program: projectors hold on to what they run without counting.
    let file: &'static SqlFile = Box::leak(Box::new(file));
    let made = async {
        let mut connection = pool.acquire().await?;
        marks::make_tables_once(&mut connection, file).await
    };
    made.await.map_err(|error: Error| error.to_string())?;
    Ok(Runs { file, pool, live: Arc::new(Live::new()) })
}

/// The role that files run as: made if we may, used if we may be it. Without one the search path
/// alone keeps a file to its own schema.
async fn role(pool: &PgPool) -> Result<Option<&'static str>, Error> {
    pool.execute(include_str!("sql/role.sql")).await?;
    let mut transaction = pool.begin().await?;
    let become_it = format!("set local role {ROLE}");
    let may = transaction.execute(become_it.as_str()).await;
    transaction.rollback().await?;
    if let Err(error) = &may {
        tracing::warn!(
            %error, role = ROLE,
            "SQL projections run with all rights of Daybook's own; see docs/PROJECTIONS.md"
        );
    }
    Ok(may.is_ok().then_some(ROLE))
}

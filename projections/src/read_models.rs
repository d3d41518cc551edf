//! The handle on all read models: opens them, keeps them up to date, waits for them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::OrderId;
use serde::Serialize;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use store::feed::Feeds;
use store::pools;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::ToSchema;

use crate::error::Error;
use crate::live::{Live, State};
use crate::marks::{self, LIVE};
use crate::orders::lookup::Lookup;
use crate::orders::{LookupError, Stored};
use crate::projection::{ALL, NAMES, Projection};
use crate::projector::Projector;
use crate::rebuild::replays::{self, Replay};
use crate::rebuild::{Goal, RebuildRefused, RebuildView, Rebuilds, Wish};
use crate::seats::{Overloaded, SEATS, Seat, Seats};
use crate::sql::{SqlModels, SqlStatus};
use crate::until::{Until, UntilError};
use crate::{customers, guests, orders};

/// Most connections for queries: one for each seat, so that whoever sits need not wait again, and
/// two for marks. PostgreSQL's default of 100 is shared by all processes and their writers.
const READS_CONNECTIONS_MAX: usize = SEATS + 2;
/// How long a query waits for a connection before it is told to try again.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the mark of a projector of another process is read at most, however many ask: well
/// below what a person notices, and one cheap select each.
const POLL_PAUSE: Duration = Duration::from_millis(25);

/// All read models of a database. Cheap to clone.
#[derive(Clone)]
pub struct ReadModels {
    log: PgPool,
    reads: PgPool,
    orders: Lookup,
    seats: Seats,
    projecting: PgPool,
    models: Arc<[Model]>,
    sql: SqlModels,
}

/// One read model in this process.
struct Model {
    projection: &'static dyn Projection,
    live: Arc<Live>,
    /// The mark as last read, and when, while a projector of another process moves it. Whoever
    /// reads it again holds the lock, so that those who come meanwhile need not.
    elsewhere: Mutex<Option<(Instant, i64)>>,
    rebuilds: Arc<Rebuilds>,
}

/// How one read model is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReadModelStatus)]
pub struct Status {
    /// Which.
    #[schema(example = "orders")]
    pub name: &'static str,
    /// How far it has been brought.
    pub position: i64,
    /// Events that it is behind the log.
    pub lag: i64,
    /// `running`, `elsewhere` (another process runs it, or none), `stopped`, or `failed: ...`.
    #[schema(value_type = String, example = "running")]
    pub state: State,
    /// Its last rebuild in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildView>,
    /// Its past, in tables of their own, where somebody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

/// Why waiting for a position was no use.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// It takes too long.
    #[error("{name} has reached position {reached}, not yet {wanted}")]
    Behind {
        /// The read model.
        name: &'static str,
        /// Where it is.
        reached: i64,
        /// Where it was to be.
        wanted: i64,
    },
    /// It could not be asked.
    #[error(transparent)]
    Database(#[from] Error),
}

/// Why a replay was not dropped.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// No read model has this name.
    #[error(transparent)]
    Refused(#[from] RebuildRefused),
    /// The database did not do as asked.
    #[error(transparent)]
    Database(#[from] Error),
}

impl ReadModels {
    /// Opens the read models of a database; makes those anew that are missing or of another
    /// version.
    pub async fn open(pool: PgPool) -> Result<Self, Error> {
        marks::make_schemas(&pool).await?;
        let options = PgConnectOptions::clone(&pool.connect_options())
            .options([("search_path", format!("{LIVE},public").as_str())]);
        // Lists and reports may well read all of a table.
        let planned = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"];
        let reads = reads(
            options
                .clone()
                .options(planned.map(|setting| (setting, "on"))),
        );
        let orders = Lookup::start(&options);
        // A crash of the database may take rows and marks back, always both, and never behind
        // the log's back: the log was made durable before. Not waiting for the disk leaves it to
        // the log.
        let one_each = u32::try_from(ALL.len()).unwrap_or(u32::MAX);
        let projecting = pools::trusting()
            // One each, or they would wait for one another.
            .max_connections(one_each)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options.options([("synchronous_commit", "off")]));
        let mut connection = projecting.acquire().await?;
        for projection in ALL {
            marks::make_tables_once(&mut connection, projection).await?;
        }
        drop(connection);
        let models = ALL
            .into_iter()
            .map(|projection| Model {
                projection,
                live: Arc::new(Live::new()),
                elsewhere: Mutex::new(None),
                rebuilds: Arc::new(Rebuilds::new()),
            })
            .collect();
        Ok(Self {
            log: pool,
            reads,
            orders,
            seats: Seats::new(),
            projecting,
            models,
            sql: SqlModels::default(),
        })
    }

    /// The same, and beside them the SQL files of a directory (docs/PROJECTIONS.md).
    pub async fn with_sql(self, directory: &Path) -> Result<Self, Error> {
        let sql = SqlModels::open(&self.log, directory).await?;
        Ok(Self { sql, ..self })
    }

    /// Runs all projectors until told to stop.
    pub fn spawn(&self, feeds: &Feeds, stop: &watch::Receiver<bool>) -> JoinSet<()> {
        let mut running = JoinSet::new();
        for model in self.models.iter() {
            running.spawn(self.projector(model).run(feeds.subscribe(), stop.clone()));
        }
        self.sql.spawn(feeds, stop, &mut running);
        running
    }

    /// How far a read model has been brought.
    pub async fn reached(&self, name: &str) -> Result<i64, Error> {
        let model = self.model(name)?;
        match model.live.mark() {
            Some(mark) => Ok(mark),
            None => self.marked(model).await,
        }
    }

    /// Waits until all of these read models have been brought to a position; the position that
    /// all of them have reached.
    pub async fn wait_for(
        &self,
        names: &[&'static str],
        position: i64,
        patience: Duration,
    ) -> Result<i64, WaitError> {
        let until = Instant::now() + patience;
        let mut all_reached: Option<i64> = None;
        for name in names {
            let model = self.model(name)?;
            let reached = match model.live.mark() {
                Some(mark) if position <= mark => mark,
                // Boxed, or every query would carry the room for it along.
                Some(_) | None => Box::pin(self.wait_for_one(model, position, until)).await?,
            };
            all_reached = Some(all_reached.map_or(reached, |all| all.min(reached)));
        }
        Ok(all_reached.unwrap_or(position))
    }

    /// How all read models are.
    pub async fn statuses(&self) -> Result<Vec<Status>, Error> {
        let select = "select name, marks.position, log_head.position from marks, log_head";
        let marks: Vec<(String, i64, i64)> = sqlx::query_as(select).fetch_all(&self.reads).await?;
        let mut replays = replays::all(&self.reads).await?;
        self.models
            .iter()
            .map(|model| {
                let name = model.projection.name();
                let (_, position, head) = marks
                    .iter()
                    .find(|(of, ..)| of == name)
                    .ok_or(Error::NoMark { name })?;
                Ok(Status {
                    name,
                    position: *position,
                    lag: head.saturating_sub(*position).max(0),
                    state: model.live.state(),
                    rebuild: model.rebuilds.view(),
                    replay: replays.remove(name),
                })
            })
            .collect()
    }

    /// How the SQL files do.
    pub async fn sql_statuses(&self) -> Result<Vec<SqlStatus>, Error> {
        self.sql.statuses(&self.reads).await
    }

    /// Starts to rebuild a read model in the background; queries go on. Its progress is in its
    /// status.
    pub fn start_rebuild(&self, name: &str) -> Result<(), RebuildRefused> {
        let model = self.rebuildable(name)?;
        model
            .rebuilds
            .start(model.projection, self.log.clone(), Goal::Live)
    }

    /// Starts to fill tables of their own with the read model as it was after the event at a
    /// position; the live copy is not touched. The schema that holds them once they are full.
    pub fn start_replay(&self, name: &str, until: i64) -> Result<String, RebuildRefused> {
        let model = self.rebuildable(name)?;
        model
            .rebuilds
            .start(model.projection, self.log.clone(), Goal::Until(until))?;
        Ok(replays::schema_of(name))
    }

    /// Pauses, resumes or cancels the rebuild or replay of a read model that runs in this process.
    pub fn steer_rebuild(&self, name: &str, wish: Wish) -> Result<(), RebuildRefused> {
        let model = self.rebuildable(name)?;
        model.rebuilds.steer(model.projection.name(), wish)
    }

    /// Drops the replay of a read model; whether there was one.
    pub async fn drop_replay(&self, name: &str) -> Result<bool, DropError> {
        let model = self.rebuildable(name)?;
        Ok(replays::drop(&self.log, model.projection.name()).await?)
    }

    /// Drops the replays of read models that tell who somebody is. Nobody folds `person.forgotten`
    /// into those; what is filled anew finds no keys.
    pub async fn drop_personal_replays(&self) -> Result<(), Error> {
        for name in [orders::NAME, guests::NAME, customers::NAME] {
            replays::drop_all_of(&self.log, name).await?;
        }
        Ok(())
    }

    /// The position that a wish for the past means.
    pub async fn position_of(&self, until: Until) -> Result<i64, UntilError> {
        until.position(&self.log).await
    }

    fn rebuildable(&self, name: &str) -> Result<&Model, RebuildRefused> {
        self.model(name)
            .map_err(|_| RebuildRefused::Unknown { name: name.to_owned(), names: NAMES.to_vec() })
    }

    /// One order.
    pub async fn order(&self, id: OrderId) -> Result<Option<Stored>, LookupError> {
        self.orders.by_id(id).await
    }

    /// A seat for one of the other queries, once there is one.
    pub async fn seat(&self) -> Result<Seat, Overloaded> {
        self.seats.take().await
    }

    /// Where the other queries are asked.
    pub fn reads(&self) -> &PgPool {
        &self.reads
    }

    #[cfg(test)]
    pub(crate) fn projector_of(&self, name: &str) -> Projector {
        self.projector(self.model(name).unwrap())
    }

    #[cfg(test)]
    pub(crate) fn sql_projector_of(&self, name: &str) -> Projector {
        self.sql.projector_of(name)
    }

    #[cfg(test)]
    pub(crate) fn rebuilds_of(&self, name: &str) -> Arc<Rebuilds> {
        Arc::clone(&self.model(name).unwrap().rebuilds)
    }

    fn projector(&self, model: &Model) -> Projector {
        Projector {
            projection: model.projection,
            pool: self.projecting.clone(),
            live: Arc::clone(&model.live),
        }
    }

    fn model(&self, name: &str) -> Result<&Model, Error> {
        let named = |model: &&Model| model.projection.name() == name;
        self.models
            .iter()
            .find(named)
            .ok_or_else(|| Error::Unknown(name.to_owned()))
    }

    /// The mark: as a projector of this process has it, else as it was read not long ago. A mark
    /// only ever rises, so whoever reads the tables after it sees at least that much.
    async fn reached_by(&self, model: &Model) -> Result<i64, Error> {
        if let Some(mark) = model.live.mark() {
            return Ok(mark);
        }
        let mut elsewhere = timeout(ACQUIRE_TIMEOUT, model.elsewhere.lock())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?;
        if let Some((read_at, mark)) = *elsewhere
            && read_at.elapsed() < POLL_PAUSE
        {
            return Ok(mark);
        }
        let read_at = Instant::now();
        let mark = self.marked(model).await?;
        *elsewhere = Some((read_at, mark));
        Ok(mark)
    }

    async fn marked(&self, model: &Model) -> Result<i64, Error> {
        let mut connection = self.reads.acquire().await?;
        marks::position(&mut connection, model.projection.name()).await
    }

    async fn wait_for_one(
        &self,
        model: &Model,
        wanted: i64,
        until: Instant,
    ) -> Result<i64, WaitError> {
        let name = model.projection.name();
        let mut marks = model.live.marks();
        let _waiting = model.live.wait();
        loop {
            let reached = self.reached_by(model).await?;
            if wanted <= reached {
                return Ok(reached);
            }
            if until <= Instant::now() {
                return Err(WaitError::Behind { name, reached, wanted });
            }
            // A projector of this process tells; one of another has to be asked again and again.
            let here = marks.borrow_and_update().is_some();
            let next = if here {
                until
            } else {
                until.min(Instant::now() + POLL_PAUSE)
            };
            let _told_or_due = timeout_at(next, marks.changed()).await;
        }
    }
}

fn reads(options: PgConnectOptions) -> PgPool {
    let connections_max = u32::try_from(READS_CONNECTIONS_MAX).unwrap_or(u32::MAX);
    pools::trusting()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options)
}

//! Runs the scenarios that are asked for, one after another, each on the Daybook it needs.

use std::path::PathBuf;

use crate::daybook::{Daybook, keep_in_clear};
use crate::error::Error;
use crate::figure::{Figure, Told};
use crate::home::Home;
use crate::machine::Machine;
use crate::names::{REBUILD, ReadModels, Selection};
use crate::pgbench::Reference;
use crate::report::{Failure, Report};
use crate::scenarios::{self, Stage};
use crate::{Args, Settings, shop};

/// Below the home of the run.
const MAIN: &str = "main";
/// Where read models are rebuilt, and from how many events: so many that a rebuild takes seconds, as
/// the swap at its end would weigh too much otherwise.
const REBUILT_IN: &str = "rebuilt";
const REBUILT: u64 = 300_000;
const REBUILT_QUICK: u64 = 20_000;
/// A Daybook that takes webhooks; others are spared the notes it takes of every attempt.
const WEBHOOKS: &str = "webhooks";
/// Everybody registers and signs in from this machine, as nobody's customers do: `daybook dev` would
/// take it for one guest who guesses.
const ONE_ADDRESS: (&str, &str) = ("DAYBOOK_RATE_LIMITS", "guest.sign_in=none,guest.mail=none");
/// A scenario that begins with an empty log, and so has a data directory of its own.
const YEAR: &str = "year";

/// One run of the suite.
pub(crate) struct Runner {
    pub(crate) settings: Settings,
    pub(crate) selection: Selection,
    pub(crate) program: PathBuf,
    home: Option<Home>,
    pub(crate) stage: Option<Stage>,
    pub(crate) scenarios: Vec<Told>,
    failures: Vec<Failure>,
}

impl Runner {
    pub(crate) fn new(args: &Args, selection: Selection) -> Result<Self, Error> {
        let program = match &args.program {
            Some(program) => program
                .canonicalize()
                .map_err(Error::file("find", program))?,
            None => std::env::current_exe().map_err(Error::Load)?,
        };
        Ok(Self {
            settings: Settings::of(args),
            selection,
            program,
            home: Some(Home::make(args.data_dir.as_deref(), args.keep)?),
            stage: None,
            scenarios: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// Runs what is asked for.
    pub(crate) async fn measure(&mut self) -> Result<Report, Error> {
        self.afresh(MAIN).await?;
        let stage = self.stage.as_ref().expect("it was just opened");
        let machine = Machine::of(&stage.daybook).await?;
        say(&machine.summary());
        self.on_a_young_log().await;
        self.webhooks().await;
        self.rebuilds().await;
        if self.settings.year.is_some() || self.selection.names(YEAR) {
            self.year().await;
        }
        self.on_a_growing_log().await;
        Ok(Report {
            machine,
            settings: self.settings.clone(),
            scenarios: std::mem::take(&mut self.scenarios),
            failures: std::mem::take(&mut self.failures),
        })
    }

    /// Stops everything and removes what was made.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        let stopped = self.close().await;
        match self.home.take() {
            Some(home) => stopped.and(home.remove().await),
            None => stopped,
        }
    }

    /// Scenarios that do not ask how much is in the log.
    async fn on_a_young_log(&mut self) {
        for connections in [1, 16, 64, 500] {
            let name = format!("accept-{connections}");
            self.scenario(&name, async |stage| scenarios::accept::run(stage, connections).await)
                .await;
        }
        self.scenario("lifecycle", scenarios::lifecycle::run).await;
        self.scenario("overload", scenarios::overload::run).await;
        self.scenario("read-your-write", scenarios::read_your_write::run)
            .await;
        self.scenario("flash-sale", scenarios::flash_sale::run)
            .await;
        self.scenario("hot-sku", scenarios::hot_sku::run).await;
        self.scenario("read-order", scenarios::reading::order).await;
        self.scenario("read-list", scenarios::reading::list).await;
        self.scenario("availability", scenarios::reading::availability)
            .await;
        self.scenario("login", scenarios::login::run).await;
        self.scenario("catalogue-list", scenarios::catalogue::list)
            .await;
        self.scenario("shop-front", scenarios::shop_front::run)
            .await;
    }

    /// What payment providers say of their own accord.
    async fn webhooks(&mut self) {
        if !self.selection.has_any(&["webhook-64", "webhook-confirmed"]) {
            return;
        }
        let opened = async {
            self.close().await?;
            self.open_with(WEBHOOKS, &[scenarios::webhooks::SECRET])
                .await?;
            self.furnish().await
        };
        if let Err(error) = opened.await {
            return self.failed(WEBHOOKS, &error);
        }
        self.scenario("webhook-64", scenarios::webhooks::accepted)
            .await;
        self.scenario("webhook-confirmed", scenarios::webhooks::confirmed)
            .await;
    }

    /// Every read model that is asked for, of those that there are, on a log of a known size.
    async fn rebuilds(&mut self) {
        let wanted = self.selection.read_models();
        if wanted.is_none() {
            return;
        }
        let models = match self.read_models(wanted).await {
            Ok(models) => models,
            Err(error) => return self.failed(REBUILD, &error),
        };
        for model in models {
            let run = async |stage: &mut Stage| scenarios::rebuild::run(stage, &model).await;
            self.run(&format!("{REBUILD}{model}"), run).await;
        }
    }

    async fn read_models(&mut self, wanted: ReadModels) -> Result<Vec<String>, Error> {
        let events = if self.settings.quick {
            REBUILT_QUICK
        } else {
            REBUILT
        };
        let pattern = self.pattern(REBUILT_IN, events).await?;
        self.fill(REBUILT_IN, &pattern, events).await?;
        let stage = self.stage.as_ref().expect("it was just opened");
        let there = stage.daybook.read_models().await?;
        Ok(match wanted {
            ReadModels::All => there.into_iter().map(|model| model.name).collect(),
            ReadModels::These(names) => names,
        })
    }

    async fn year(&mut self) {
        let opened = async {
            self.close().await?;
            self.open(YEAR).await
        };
        if let Err(error) = opened.await {
            return self.failed(YEAR, &error);
        }
        let program = self.program.clone();
        let run = async |stage: &mut Stage| scenarios::year::run(stage, &program).await;
        self.scenario(YEAR, run).await;
    }

    /// Runs a scenario if it is asked for.
    async fn scenario(&mut self, name: &str, run: impl AsyncFnOnce(&mut Stage) -> Found) {
        if self.selection.has(name) {
            self.run(name, run).await;
        }
    }

    /// Runs a scenario, and keeps what it has found or why it has not.
    async fn run(&mut self, name: &str, run: impl AsyncFnOnce(&mut Stage) -> Found) {
        say(&format!("{name} ..."));
        let found = match &mut self.stage {
            Some(stage) => counting(stage, run).await,
            None => Err(Error::Check("there is no Daybook to measure".to_owned())),
        };
        match found {
            Ok(figure) => self.scenarios.push(figure.told()),
            Err(error) => self.failed(name, &error),
        }
    }

    pub(crate) fn failed(&mut self, name: &str, error: &Error) {
        say(&format!("{name}: FAILED: {error}"));
        self.failures
            .push(Failure { name: name.to_owned(), reason: error.to_string() });
    }

    /// Stops the Daybook that runs, and starts one on a data directory of its own, with an open shop.
    async fn afresh(&mut self, name: &str) -> Result<(), Error> {
        self.close().await?;
        self.open(name).await?;
        self.furnish().await
    }

    /// Opens the shop of the Daybook that runs.
    async fn furnish(&mut self) -> Result<(), Error> {
        let stage = self.stage.as_mut().expect("it was just opened");
        shop::open(&stage.daybook).await?;
        stage.daybook.settle().await?;
        Ok(())
    }

    /// Starts a Daybook on a data directory, and prepares the reference.
    pub(crate) async fn open(&mut self, name: &str) -> Result<(), Error> {
        self.open_with(name, &[]).await
    }

    async fn open_with(&mut self, name: &str, variables: &[(&str, &str)]) -> Result<(), Error> {
        let data_dir = self.data_dir(name);
        say(&format!("starting Daybook in {}", data_dir.display()));
        if self.settings.in_clear {
            keep_in_clear(&data_dir)?;
        }
        let variables = [&[ONE_ADDRESS], variables].concat();
        let daybook = Daybook::start(&self.program, &data_dir, &variables).await?;
        // Kept at once, so that it is stopped in order whatever comes next.
        let stage = self
            .stage
            .insert(Stage::new(daybook, self.settings.clone()));
        stage.reference = Reference::prepare(&stage.daybook).await?;
        Ok(())
    }

    /// Stops the Daybook that runs.
    pub(crate) async fn close(&mut self) -> Result<(), Error> {
        match self.stage.take() {
            Some(stage) => stage.daybook.stop().await,
            None => Ok(()),
        }
    }

    pub(crate) fn data_dir(&self, name: &str) -> PathBuf {
        self.home
            .as_ref()
            .expect("it is removed last")
            .path()
            .join(name)
    }
}

/// Notes how much was in the log before.
async fn counting(stage: &mut Stage, run: impl AsyncFnOnce(&mut Stage) -> Found) -> Found {
    let before = stage.daybook.standing().await?.head.unsigned_abs();
    let mut figure = run(stage).await?;
    figure.events_before = before;
    Ok(figure)
}

type Found = Result<Figure, Error>;

/// Progress is a courtesy; the result goes to standard output.
pub(crate) fn say(what: &str) {
    eprintln!("bench: {what}");
}

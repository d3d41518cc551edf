//! The cluster: Postgres's files. Made once, in a draft beside its place, then renamed, so that
//! it is there completely or not at all.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::Account;
use crate::directory::DataDir;
use crate::error::Error;
use crate::place::Place;
use crate::programs::{self, PostgresPrograms};
use crate::supervise::Program;
use crate::{kept, survivors};

/// The database is made before any server listens, so that a cluster without one never shows. A
/// single-user server reads from its input, which the shell gives it, as ours is a lifeline.
const CREATE_DATABASE: &str = r#"exec "$@" <<sql
create database daybook
sql
"#;

/// A complete cluster, and what runs it.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    dir: PathBuf,
    account: Account,
    programs: PostgresPrograms,
    _lock: Option<Arc<File>>,
}

impl Cluster {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn account(&self) -> Account {
        self.account
    }

    pub(crate) fn postgres(&self) -> &Path {
        &self.programs.postgres
    }
}

/// The cluster of this data directory, made if it does not exist yet.
pub(crate) fn open_or_make(
    data_dir: &DataDir,
    bin_dir: Option<&Path>,
    password: &str,
) -> Result<Cluster, Error> {
    let account = Account::for_cluster(&data_dir.file("postgres"))?;
    let place = Place::of(data_dir, account)?;
    let made_by = major_of(&place.dir)?;
    let programs = programs::postgres(bin_dir, account, made_by, &place.dir)?;
    let draft = place.dir.with_added_extension("new");
    if draft.exists() {
        remove(&draft)?;
    }
    if made_by.is_none() {
        make(data_dir, &programs, account, &draft, password)?;
        fs::rename(&draft, &place.dir)
            .and_then(|()| File::open(place.dir.parent().unwrap_or(&place.dir))?.sync_all())
            .map_err(Error::file("rename", &draft))?;
    }
    place.publish()?;
    Ok(Cluster { dir: place.dir, account, programs, _lock: place.lock.map(Arc::new) })
}

/// Removes a cluster or a draft of one, and whoever still works on it.
pub(crate) fn remove(dir: &Path) -> Result<(), Error> {
    survivors::stop("TERM", || survivors::of_cluster(dir));
    fs::remove_dir_all(dir).map_err(Error::file("remove", dir))
}

/// Which Postgres made the cluster, `None` if there is none yet.
fn major_of(dir: &Path) -> Result<Option<u32>, Error> {
    let path = dir.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(programs::major(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", &path)(error)),
    }
}

fn make(
    data_dir: &DataDir,
    programs: &PostgresPrograms,
    account: Account,
    draft: &Path,
    password: &str,
) -> Result<(), Error> {
    // Its parent may be ours alone, so we make it and give it away.
    DirBuilder::new()
        .mode(0o700)
        .create(draft)
        .map_err(Error::file("create", draft))?;
    account.own(draft)?;
    let password_file = draft.with_added_extension("password");
    kept::write_private(&password_file, password)?;
    account.own(&password_file)?;

    let log = data_dir.file("initdb.log");
    let initdb = Program {
        account,
        path: &programs.initdb,
        arguments: vec![
            "-D".into(),
            draft.to_string_lossy().into(),
            "--username=daybook".into(),
            // Other users of this machine reach the port, too.
            "--auth=scram-sha-256".into(),
            format!("--pwfile={}", password_file.display()),
            "--encoding=UTF8".into(),
            // Order by bytes: an index stays valid whatever the system's libraries become.
            "--lc-collate=C".into(),
            // Upper and lower case of all letters nevertheless.
            "--lc-ctype=C.UTF-8".into(),
            // Bit rot is an error and not a wrong sum.
            "--data-checksums".into(),
        ],
        environment: Vec::new(),
        stop: "TERM",
        log: &log,
    };
    let made = initdb.run("initdb");
    fs::remove_file(&password_file).map_err(Error::file("remove", &password_file))?;
    made?;

    let postgres = programs.postgres.to_string_lossy().into_owned();
    let arguments = ["-c", CREATE_DATABASE, "sh", &postgres, "--single", "-D"];
    let mut arguments: Vec<_> = arguments.map(str::to_owned).into();
    arguments.push(draft.to_string_lossy().into());
    arguments.push("postgres".into());
    Program { path: Path::new("/bin/sh"), arguments, ..initdb }.run("PostgreSQL")?;
    match draft.join("base").read_dir().map(Iterator::count) {
        // A single-user server reports an error of SQL and ends well: three are there from the
        // beginning, and ours is the fourth.
        Ok(4..) => Ok(()),
        _ => Err(Error::failed("PostgreSQL", "made no database".into(), &log, &[])),
    }
}

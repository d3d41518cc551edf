//! The private servers against real programs: they come, survive, and leave nothing behind.

// Where `unwrap` is as fine as in the tests themselves.
#[cfg(test)]
mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use stack::{Error, Options, Servers, Stack};
use world::{Database, Kind, Stream, World};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_survives_an_orderly_restart_and_nothing_runs_in_between() {
    let world = World::new();
    let stack = world.start().await;
    let (database_url, nats_url) = urls(&stack);
    Database::at(&database_url).await.store("kept").await;
    Stream::at(&nats_url).await.store("kept").await;

    stack.stop().await;
    world.nothing_runs();

    let stack = world.start().await;
    assert_eq!(urls(&stack), (database_url.clone(), nats_url.clone()), "URLs stay the same");
    assert_eq!(Database::at(&database_url).await.stored().await, ["kept"]);
    assert_eq!(Stream::at(&nats_url).await.stored().await, ["kept"]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_on_its_port_with_its_data() {
    let world = World::new();
    let stack = world.start().await;
    let (database_url, nats_url) = urls(&stack);
    Database::at(&database_url).await.store("before").await;
    Stream::at(&nats_url).await.store("before").await;

    for kind in [Kind::Postgres, Kind::Nats] {
        let first = world.pid(kind);
        world::kill(first);
        world.eventually("the server is back", || {
            world.pid_if_running(kind).is_some_and(|pid| pid != first)
        });
    }

    let database = Database::at(&database_url).await;
    database.store("after").await;
    assert_eq!(database.stored().await, ["before", "after"]);
    assert_eq!(Stream::at(&nats_url).await.stored().await, ["before"]);
    stack.stop().await;
    world.nothing_runs();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stack_stops_its_servers() {
    let world = World::new();
    drop(world.start().await);
    world.eventually("nothing runs", || world.running().is_empty());
}

/// Runs twice: the second time, in a process of its own, as the Daybook that gets killed.
#[test]
fn a_killed_daybook_leaves_no_server_and_hinders_no_start() {
    if let Some(world) = World::of_parent() {
        let stack = Stack::start_blocking(&world.options()).expect("the stack starts");
        world::announce();
        // Ends by being killed, or with the parent if that fails.
        world::wait_for_parent();
        drop(stack);
        return;
    }

    let world = World::new();
    let victim = world.start_in_a_process("a_killed_daybook_leaves_no_server_and_hinders_no_start");
    let servers = [world.pid(Kind::Postgres), world.pid(Kind::Nats)];
    world::kill(victim);

    // At once, while the servers of the victim may still be stopping.
    let stack = Stack::start_blocking(&world.options()).expect("the next start works");
    for pid in servers {
        assert!(!world.running().contains(&pid), "a server of the killed Daybook still runs");
    }
    drop(stack);
    world.eventually("nothing runs", || world.running().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_supervisor_does_not_free_its_server() {
    let world = World::new();
    let stack = world.start().await;
    let first = world.pid(Kind::Nats);
    world::kill(world::parent_of(first));
    world.eventually("another server is up", || {
        world
            .pid_if_running(Kind::Nats)
            .is_some_and(|pid| pid != first)
    });
    stack.stop().await;
    // The helper of the killed one looks once a second whether its server is gone.
    world.eventually("nothing runs", || world.running().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_made_half_way_is_made_again() {
    let world = World::new();
    let draft = world.data_dir().join("postgres.new");
    fs::create_dir_all(draft.join("base")).unwrap();
    fs::write(draft.join("PG_VERSION"), "15\n").unwrap();
    fs::write(world.data_dir().join("postgres.password"), "").unwrap();

    let stack = Stack::start(Options { servers: Servers::OnlyPostgres, ..world.options() })
        .await
        .expect("the draft does not matter");
    assert_eq!(stack.nats_url(), None);
    Database::at(stack.database_url().unwrap())
        .await
        .store("works")
        .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_home_is_no_obstacle() {
    let world = World::below_a_closed_home();
    let options = Options { servers: Servers::OnlyPostgres, ..world.options() };
    let stack = Stack::start(options.clone())
        .await
        .expect("the stack starts");
    Database::at(stack.database_url().unwrap())
        .await
        .store("kept")
        .await;
    stack.stop().await;

    let stack = Stack::start(options.clone())
        .await
        .expect("the stack starts again");
    assert_eq!(
        Database::at(stack.database_url().unwrap())
            .await
            .stored()
            .await,
        ["kept"]
    );
    stack.stop().await;

    // Whoever removes a data directory wants to begin anew, wherever its cluster lies.
    let elsewhere = world.cluster_elsewhere();
    for entry in fs::read_dir(world.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    let stack = Stack::start(options)
        .await
        .expect("the stack starts afresh");
    assert_eq!(world.cluster_elsewhere(), elsewhere);
    assert!(
        Database::at(stack.database_url().unwrap())
            .await
            .stored()
            .await
            .is_empty()
    );
    stack.stop().await;
    world.nothing_runs();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_now_belongs_to_a_stranger_does_not_hinder_the_start() {
    let world = World::new();
    let options = Options { servers: Servers::OnlyPostgres, ..world.options() };
    Stack::start(options.clone())
        .await
        .expect("the stack starts")
        .stop()
        .await;
    let ourselves = std::process::id();
    let pid_file = world.data_dir().join("postgres/postmaster.pid");
    fs::write(&pid_file, format!("{ourselves}\n/elsewhere\n0\n5432\n\n\n\nready\n")).unwrap();

    Stack::start(options)
        .await
        .expect("the stack starts again")
        .stop()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stack_on_the_same_directory_is_refused() {
    let world = World::new();
    let options = Options { servers: Servers::OnlyNats, ..world.options() };
    let stack = Stack::start(options.clone())
        .await
        .expect("the first one starts");
    assert_eq!(stack.database_url(), None);

    let refusal = Stack::start(options)
        .await
        .expect_err("the second one does not");
    let us = std::process::id();
    assert_eq!(
        refusal.to_string(),
        format!(
            "another Daybook (process {us}) uses {}: stop it, or choose another data directory",
            world.data_dir().display()
        )
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_replaced() {
    let world = World::new();
    let options = Options { servers: Servers::OnlyNats, ..world.options() };
    let stack = Stack::start(options.clone())
        .await
        .expect("the stack starts");
    let before = stack.nats_url().unwrap().to_owned();
    stack.stop().await;
    let address = before.rsplit('@').next().unwrap();
    let _taken = std::net::TcpListener::bind(address).unwrap();

    let stack = Stack::start(options)
        .await
        .expect("the stack starts elsewhere");
    assert_ne!(stack.nats_url(), Some(before.as_str()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_nats_server_is_refused_by_its_version() {
    let world = World::new();
    let old = world.program("nats-server", "echo nats-server: v2.9.10");
    let refusal = Stack::start(Options {
        servers: Servers::OnlyNats,
        nats_server: Some(old.clone()),
        ..world.options()
    })
    .await
    .expect_err("2.9 is too old");
    assert_eq!(
        refusal.to_string(),
        format!(
            "{} is nats-server 2.9, which is too old: \
             run scripts/setup, or install nats-server 2.12 or newer",
            old.display()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_is_named() {
    let world = World::new();
    let nowhere = world.data_dir().join("nowhere");
    let refusal = Stack::start(Options {
        servers: Servers::OnlyPostgres,
        postgres_bin_dir: Some(nowhere.clone()),
        ..world.options()
    })
    .await
    .expect_err("there is none");
    assert_eq!(
        refusal.to_string(),
        format!(
            "PostgreSQL is not installed (looked in {}): \
             run scripts/setup, or install PostgreSQL 15 or newer",
            nowhere.display()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_at_once_is_quoted() {
    let world = World::new();
    let broken = r#"[ "$1" = --version ] && echo nats-server: v2.15.1 || echo no luck; exit 3"#;
    let refusal = Stack::start(Options {
        servers: Servers::OnlyNats,
        nats_server: Some(world.program("nats-server", broken)),
        ..world.options()
    })
    .await
    .expect_err("it ends at once");
    let Error::Failed { what, log_end, .. } = refusal else {
        panic!("{refusal}")
    };
    assert_eq!(what, "ended while starting (exit status: 3)");
    assert_eq!(log_end, "no luck");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_readable_by_their_owner_alone() {
    let world = World::new();
    let options = Options { servers: Servers::OnlyNats, ..world.options() };
    Stack::start(options)
        .await
        .expect("the stack starts")
        .stop()
        .await;
    let meta = fs::metadata(world.data_dir().join("nats.password")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
}

fn urls(stack: &Stack) -> (String, String) {
    let database = stack.database_url().expect("Postgres was asked for");
    let nats = stack.nats_url().expect("NATS was asked for");
    (database.to_owned(), nats.to_owned())
}

//! `daybook export` as people run it: what is in the files, what proves them, and what becomes of
//! one that is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::{Field, Row};
use sealing::keys::SealKey;
use serde_json::Value;
use tests::World;
use tests::command::{Ran, daybook, ran};
use tests::log::{all_sealed, an_empty_log, lines, receive, seal_all, sealing_with};
use tests::telling::a_world_with_cups;
use tests::world::{MASTER_KEY, STAFF, an_order, send, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_daybook-under-test");
/// Long enough to be killed in the middle, and several row groups of [`GROUP_ROWS`].
const EVENTS: i64 = 30_000;
const GROUP_ROWS: &str = "4000";

/// Where exports of one test go, and what they read.
struct Desk {
    folder: tempfile::TempDir,
    source: Vec<String>,
}

impl Desk {
    fn at_server(world: &World) -> Self {
        let source = ["--url", &world.url, "--token", STAFF].map(str::to_owned);
        Self { folder: tempfile::tempdir().unwrap(), source: source.to_vec() }
    }

    fn at_database(url: &str) -> Self {
        let source = ["--database-url", url, "--master-key", &MASTER_KEY].map(str::to_owned);
        Self { folder: tempfile::tempdir().unwrap(), source: source.to_vec() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command; the format is the name's ending.
    fn export(&self, name: &str, words: &[&str]) -> Command {
        let format = name.rsplit('.').next().unwrap();
        let out = self.path(name).display().to_string();
        let mut command = daybook(PROGRAM, &["export", "--format", format, "--out", &out]);
        command.args(&self.source).args(words);
        command
    }

    async fn exported(&self, name: &str, words: &[&str]) -> PathBuf {
        let ran = ran(self.export(name, words)).await;
        assert!(ran.is_well, "{name} {words:?}: {ran:?}");
        let path = self.path(name);
        assert!(ran.told.contains(&path.display().to_string()), "{ran:?}");
        assert!(!partial(&path).exists(), "nothing is left beside it");
        path
    }

    async fn refused(&self, name: &str, words: &[&str]) -> String {
        let Ran { is_well, complained, .. } = ran(self.export(name, words)).await;
        assert!(!is_well, "{name} {words:?}");
        complained
    }
}

fn partial(path: &Path) -> PathBuf {
    path.with_added_extension("partial")
}

fn json_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn records(path: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn field<'r>(record: &'r Row, name: &str) -> &'r Field {
    let mut columns = record.get_column_iter();
    columns.find(|(column, _)| *column == name).expect(name).1
}

/// What `GET /events` shows.
async fn shown(world: &World, query: &str) -> Vec<Value> {
    let request = world.staff(reqwest::Method::GET, &format!("/api/v1/events{query}"));
    let answer = send(request.header("accept", "application/x-ndjson")).await;
    let text = answer.expect(200).text;
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A day at the shop: orders of one and of two thousand lines, names in many letters, a refund.
async fn a_day() -> (World, String) {
    let world = a_world_with_cups().await;
    world.article("тарелка", "9.00", 100_000).await;
    let mut order = an_order(&[("cup", 2), ("тарелка", 1)]);
    order["customer"]["name"] = "=1+1, \"Zoë\" ☕".into();
    let placed = world.post("/api/v1/orders", order).await.expect(201).json();
    let id = placed["id"].as_str().unwrap().to_owned();
    world.order_when(&id, "confirmed").await;
    let many: Vec<(&str, u32)> = (0..2_000).map(|_| ("тарелка", 1)).collect();
    let placed = world.post("/api/v1/orders", an_order(&many)).await;
    let many = placed.expect(201).json()["id"].as_str().unwrap().to_owned();
    world.order_when(&many, "confirmed").await;
    let refund = serde_json::json!({"reason": "=broken, \"in two\"", "items": [
        {"sku": "cup", "quantity": 1, "restock": true},
    ]});
    let path = format!("/api/v1/orders/{id}");
    let _asked = world
        .post(&format!("{path}/refunds"), refund)
        .await
        .expect(201);
    until("the refund is paid out", async || {
        (world.get(&path).await.json()["refunded"]["amount"] == "4.50").then_some(())
    })
    .await;
    world.settle().await;
    (world, id)
}

#[tokio::test]
async fn every_format_holds_every_event_wherever_it_is_exported_from() {
    let (world, id) = a_day().await;
    let all = shown(&world, "").await;
    let (server, database) =
        (Desk::at_server(&world), Desk::at_database(&world.settings.database_url));
    for name in ["all.ndjson", "all.csv", "all.parquet"] {
        let (one, other) = (server.exported(name, &[]).await, database.exported(name, &[]).await);
        assert_eq!(fs::read(one).unwrap(), fs::read(other).unwrap(), "{name}");
    }

    let stored = fs::read_to_string(server.path("all.ndjson")).unwrap();
    assert_eq!(stored.lines().collect::<Vec<_>>(), lines(&world.pool).await);
    let told = server.exported("shown.ndjson", &["--lines", "shown"]).await;
    assert_eq!(json_lines(&told), all);
    assert!(!told.with_added_extension("seals").exists(), "what is shown proves nothing");

    let text = fs::read_to_string(server.path("all.csv")).unwrap();
    assert_eq!(text.lines().next().unwrap().split(',').next(), Some("position"));
    assert!(text.contains("\"'=broken, \"\"in two\"\"\""), "no formula, and one cell");
    let csv = send(
        world
            .staff(reqwest::Method::GET, "/api/v1/events")
            .header("accept", "text/csv"),
    )
    .await;
    assert_eq!(csv.expect(200).text, text, "over HTTP as well");

    let records = records(&server.path("all.parquet"));
    assert_eq!(records.len(), all.len());
    for (record, event) in records.iter().zip(&all) {
        assert_eq!(field(record, "position"), &Field::Long(event["position"].as_i64().unwrap()));
        for name in [
            "event_id",
            "aggregate",
            "aggregate_id",
            "event",
            "actor",
            "reason",
        ] {
            let expected = event[name]
                .as_str()
                .map_or(Field::Null, |text| Field::Str(text.to_owned()));
            assert_eq!(field(record, name), &expected, "{name}");
        }
        let Field::Str(data) = field(record, "data") else {
            panic!("{record}")
        };
        assert_eq!(serde_json::from_str::<Value>(data).unwrap(), event["data"]);
        let at = chrono::DateTime::parse_from_rfc3339(event["at"].as_str().unwrap()).unwrap();
        assert_eq!(field(record, "recorded_at"), &Field::TimestampMicros(at.timestamp_micros()));
        let lines = event["data"]["lines"].as_array();
        match field(record, "lines") {
            Field::ListInternal(list) => {
                assert_eq!(Some(list.elements().len()), lines.map(Vec::len));
            }
            other => assert_eq!((other, lines), (&Field::Null, None)),
        }
    }
    let order = records
        .iter()
        .find(|record| field(record, "order_id") == &Field::Str(id.clone()))
        .unwrap();
    assert_eq!(field(order, "amount_minor"), &Field::Long(1_800));
    assert_eq!(field(order, "currency"), &Field::Str("GBP".into()));
    assert_eq!(field(order, "quantity"), &Field::Long(3));
}

#[tokio::test]
async fn a_slice_is_what_the_log_shows_of_it() {
    let (world, id) = a_day().await;
    let middle = shown(&world, "").await[7]["at"]
        .as_str()
        .unwrap()
        .to_owned();
    let (server, database) =
        (Desk::at_server(&world), Desk::at_database(&world.settings.database_url));
    for (number, (flags, query)) in [
        (vec!["--from", "3", "--to", "9"], "from=3&to=9".to_owned()),
        (vec!["--type", "order.placed"], "type=order.placed".to_owned()),
        (
            vec!["--aggregate", "inventory", "--aggregate-id", "cup"],
            "aggregate=inventory&aggregate_id=cup".to_owned(),
        ),
        (vec!["--order-id", &id], format!("order_id={id}")),
        (vec!["--since", &middle], format!("since={middle}")),
        (vec!["--until", &middle], format!("until={middle}")),
        (vec!["--type", "order.cancelled"], "type=order.cancelled".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let expected = shown(&world, &format!("?{query}")).await;
        for desk in [&server, &database] {
            let words: Vec<&str> = [&["--lines", "shown"][..], &flags].concat();
            let path = desk.exported(&format!("{number}.ndjson"), &words).await;
            assert_eq!(json_lines(&path), expected, "{query}");
            let path = desk.exported(&format!("{number}.parquet"), &flags).await;
            assert_eq!(records(&path).len(), expected.len(), "{query}");
        }
    }
    let complaint = server
        .refused("x.csv", &["--from", "x", "--aggregate", "basket"])
        .await;
    assert!(complaint.contains("?from") && complaint.contains("?aggregate"), "{complaint}");
    assert!(!server.path("x.csv").exists() && !partial(&server.path("x.csv")).exists());
}

#[tokio::test]
async fn an_export_of_the_whole_log_is_proved_and_whatever_is_altered_is_named() {
    let key = SealKey::random("daybook").unwrap();
    let world = World::with(|settings| settings.sealing = Some(sealing_with(&[&key]))).await;
    receive(&world.pool, 600).await;
    let head = all_sealed(&world.pool).await;
    let public = key.public().to_string();
    for desk in [
        Desk::at_server(&world),
        Desk::at_database(&world.settings.database_url),
    ] {
        let path = desk.exported("log.ndjson", &[]).await;
        let heads = desk.path("heads-i-kept");
        fs::write(&heads, head.note()).unwrap();
        let verify = async || {
            let (path, heads) = (path.display().to_string(), heads.display().to_string());
            let words = [
                "verify", "--export", &path, "--key", &public, "--head", &heads,
            ];
            ran(daybook(PROGRAM, &words)).await
        };
        let whole = fs::read_to_string(&path).unwrap();

        let proved = verify().await;
        assert!(proved.is_well, "{proved:?}");
        assert!(proved.told.contains("600 events, of which 600 are sealed"), "{proved:?}");

        let all: Vec<&str> = whole.lines().collect();
        let changed = all[416].replace("\"quantity\":1", "\"quantity\":2");
        let without: Vec<&str> = [&all[..299], &all[300..]].concat();
        let swapped: Vec<&str> = [&all[..9], &[all[10], all[9]], &all[11..]].concat();
        for (lines, position) in [
            ([&all[..416], &[changed.as_str()], &all[417..]].concat(), "417"),
            (without, "300"),
            (swapped, "10"),
            (all[..590].to_vec(), "591"),
        ] {
            fs::write(&path, lines.join("\n") + "\n").unwrap();
            let found = verify().await;
            assert!(!found.is_well, "{position}");
            assert!(found.complained.contains(position), "{position}: {found:?}");
        }
    }
    // Of a slice, each line can be proved by its position, but there is no whole to prove.
    let desk = Desk::at_server(&world);
    let slice = desk.exported("slice.ndjson", &["--from", "2"]).await;
    assert!(!slice.with_added_extension("seals").exists());
    // A beginning is a whole of its own, with the heads that it leads to.
    let beginning = desk.exported("beginning.ndjson", &["--to", "100"]).await;
    assert!(beginning.with_added_extension("seals").exists());
}

#[tokio::test]
async fn a_killed_export_leaves_nothing_and_goes_on_to_the_same_bytes() {
    let pool = an_empty_log().await;
    receive(&pool, EVENTS).await;
    let key = SealKey::random("daybook").unwrap();
    let _head = seal_all(&pool, &sealing_with(&[&key])).await;
    let url = database_of(&pool).await;
    let desk = Desk::at_database(&url);
    for ending in ["ndjson", "csv", "parquet"] {
        let words = ["--group-rows", GROUP_ROWS];
        let whole = desk.exported(&format!("whole.{ending}"), &words).await;
        let name = format!("killed.{ending}");
        let path = desk.path(&name);
        let mut kills = 0;
        loop {
            let mut child = desk
                .export(&name, &[&words[..], &["--resume"]].concat())
                .spawn()
                .unwrap();
            let got_further = {
                let before = bytes_in(&partial(&path));
                until("it gets further, or ends", async || {
                    let further = before < bytes_in(&partial(&path));
                    let ended = child.try_wait().unwrap().is_some();
                    (further || ended).then_some(!ended)
                })
                .await
            };
            if !got_further {
                assert!(child.wait().unwrap().success(), "{ending}");
                break;
            }
            child.kill().unwrap();
            let status = child.wait().unwrap();
            if status.success() {
                break;
            }
            assert!(!path.exists(), "{ending}: nothing has the name before it is complete");
            kills += 1;
            // Whatever a kill tears off, a power cut may tear off somewhere else.
            let rows = partial(&path).join("rows");
            if ending != "parquet" && rows.exists() {
                let file = fs::File::options().write(true).open(&rows).unwrap();
                let bytes = file.metadata().unwrap().len();
                file.set_len(bytes.saturating_sub(37 * kills % 500))
                    .unwrap();
            }
            let complaint = desk.refused(&name, &words).await;
            assert!(complaint.contains("--resume"), "{complaint}");
            let other = desk.refused(&name, &["--resume", "--from", "2"]).await;
            assert!(other.contains("other settings"), "{other}");
            if 5 <= kills {
                let _path = desk
                    .exported(&name, &[&words[..], &["--resume"]].concat())
                    .await;
                break;
            }
        }
        assert!(0 < kills, "{ending} was too fast to be killed");
        assert_eq!(fs::read(&whole).unwrap(), fs::read(&path).unwrap(), "{ending}, {kills} kills");
        let complaint = desk.refused(&name, &["--resume"]).await;
        assert!(complaint.contains("exists already"), "{complaint}");
    }
    let seals = |name: &str| fs::read(desk.path(name)).unwrap();
    assert_eq!(seals("whole.ndjson.seals"), seals("killed.ndjson.seals"));
}

#[tokio::test]
async fn what_is_added_meanwhile_is_left_for_the_next_export() {
    let pool = an_empty_log().await;
    receive(&pool, 500).await;
    let desk = Desk::at_database(&database_of(&pool).await);
    let whole = desk.exported("whole.csv", &[]).await;
    // Begun, and killed before its first row.
    let begun = partial(&desk.path("x.csv"));
    let mut child = desk.export("x.csv", &[]).spawn().unwrap();
    until("it has begun", async || begun.join("export.json").exists().then_some(())).await;
    child.kill().unwrap();
    let _status = child.wait().unwrap();
    receive(&pool, 100).await;

    if begun.exists() {
        let _path = desk.exported("x.csv", &["--resume"]).await;
    }

    assert_eq!(fs::read(whole).unwrap(), fs::read(desk.path("x.csv")).unwrap());
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named_and_a_full_disk_leaves_nothing() {
    let pool = an_empty_log().await;
    receive(&pool, 2_000).await;
    let desk = Desk::at_database(&database_of(&pool).await);
    let nowhere = desk.refused("no/such/folder/x.csv", &[]).await;
    assert!(nowhere.contains("x.csv.partial"), "{nowhere}");
    fs::write(desk.path("file"), "").unwrap();
    let below_a_file = desk.refused("file/x.csv", &[]).await;
    assert!(below_a_file.contains("file/x.csv.partial"), "{below_a_file}");
    for name in ["x.ndjson", "x.csv", "x.parquet"] {
        // A file may not become longer than this, just as on a disk that is full.
        let full = daybook("sh", &["-c", "trap '' XFSZ; ulimit -f 200; exec \"$@\"", "sh"]);
        let export = desk.export(name, &[]);
        let mut limited = full;
        limited.arg(export.get_program()).args(export.get_args());
        let ran = ran(limited).await;
        assert!(!ran.is_well, "{name}: {ran:?}");
        assert!(ran.complained.contains("x."), "{ran:?}");
        assert!(ran.complained.contains("too large"), "{ran:?}");
        assert!(!desk.path(name).exists());
        let _path = desk.exported(name, &["--resume"]).await;
    }
    let taken = desk.refused("x.csv", &[]).await;
    assert!(taken.contains("exists already"), "{taken}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_does_not_know_us_is_named() {
    let world = World::new().await;
    let mut desk = Desk::at_server(&world);
    desk.source[3] = "wrong".to_owned();
    assert!(desk.refused("x.csv", &[]).await.contains("401"));
    desk.source[1] = "http://127.0.0.1:9".to_owned();
    assert!(desk.refused("x.csv", &[]).await.contains("daybook dev"));
    assert!(!partial(&desk.path("x.csv")).exists());
}

async fn database_of(pool: &sqlx::PgPool) -> String {
    let name: String = sqlx::query_scalar("select current_database()")
        .fetch_one(pool)
        .await
        .unwrap();
    let (server, _) = tests::servers::database_url().rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// Bytes of rows and parts, however they are called.
fn bytes_in(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    let files = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name == "rows" || name.starts_with("part-")
    });
    files
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .sum()
}

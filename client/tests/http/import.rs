//! Importing: retries, refusals, repetition.

use std::path::PathBuf;
use std::time::Duration;

use client::online_retail::{Args, Report, import};
use client::{Connection, Error};
use serde_json::json;

use crate::server::{Server, TOKEN, World};

const PATIENCE: Duration = Duration::from_secs(20);
const FILE: &str = "\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1002,B C,\"JUG, BLUE\",5,2011-01-02 09:00:00,1.25,,France
1001,A,MUG,2,2011-01-01 09:00:00,2.5,17850.0,United Kingdom
1001,A,MUG,2,2011-01-01 09:00:00,2.5,17850.0,United Kingdom
C900,A,MUG,-1,2011-01-01 10:00:00,2.5,17850.0,United Kingdom
1003,a,mug,1,2011-01-03 09:00:00,3.0,17850.0,EIRE
";

struct Desk {
    server: Server,
    folder: tempfile::TempDir,
    args: Args,
}

impl Desk {
    async fn with(world: World) -> Self {
        let server = Server::start(world).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orders.csv");
        std::fs::write(&file, FILE).unwrap();
        let connection = Connection {
            url: server.url.clone(),
            token: Some(TOKEN.to_owned()),
            data_dir: PathBuf::from("nowhere"),
        };
        let rejects = Some(folder.path().join("rejects.csv"));
        let args = Args { file, concurrency: 4, orders: None, rejects, connection };
        Self { server, folder, args }
    }

    async fn import(&self) -> Result<Report, Error> {
        import(&self.args, PATIENCE).await
    }

    fn rejects(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("rejects.csv")).unwrap()
    }

    fn shelf(&self) -> Vec<(String, i64)> {
        self.server
            .change(|world| world.stock.clone())
            .into_iter()
            .collect()
    }
}

fn empty_shelf() -> Vec<(String, i64)> {
    ["A", "B C", "a"].map(|sku| (sku.to_owned(), 0)).into()
}

#[tokio::test]
async fn orders_are_placed_in_time_order_and_completed_and_all_stock_is_sold() {
    let mut desk = Desk::with(World::default()).await;
    desk.args.concurrency = 1;

    let report = desk.import().await.unwrap();

    let keys: Vec<_> = desk
        .server
        .seen("POST /orders")
        .into_iter()
        .map(|seen| seen.key)
        .collect();
    assert_eq!(
        keys,
        ["1001", "1002", "1003"]
            .map(|invoice| {
                ["order", "complete"].map(|kind| format!("online-retail:{kind}:{invoice}"))
            })
            .concat()
    );
    let placed = &desk.server.seen("POST /orders")[0];
    assert_eq!(
        (placed.prefer.as_str(), placed.body["items"].as_array().unwrap().len()),
        ("wait=30", 2)
    );
    assert_eq!((report.orders.now, report.completed, report.unfinished), (3, 3, 0));
    assert_eq!((report.products.now, report.receipts.now), (3, 3));
    assert_eq!((report.lines, report.accepted.lines, report.rejected["credit_note"]), (5, 4, 1));
    assert_eq!((report.accepted.units, report.accepted.total_pence), (10, 1_925));
    assert_eq!(desk.shelf(), empty_shelf());
    assert_eq!(desk.server.seen("PUT /products/B C")[0].body["name"], "JUG, BLUE");
}

#[tokio::test]
async fn a_second_run_duplicates_nothing() {
    let desk = Desk::with(World::default()).await;
    desk.import().await.unwrap();

    let again = desk.import().await.unwrap();

    assert_eq!((again.orders.now, again.orders.already_there, again.completed), (0, 3, 3));
    assert_eq!((again.products.already_there, again.receipts.already_there), (3, 3));
    assert_eq!(desk.server.change(|world| world.orders.len()), 3);
    assert_eq!(desk.shelf(), empty_shelf());
}

#[tokio::test]
async fn some_orders_first_and_then_all_sells_all_stock_too() {
    let mut desk = Desk::with(World::default()).await;
    desk.args.orders = Some(1);
    let first = desk.import().await.unwrap();
    desk.args.orders = None;

    let rest = desk.import().await.unwrap();

    assert_eq!((first.orders.now, first.sent.orders, first.accepted.orders), (1, 1, 3));
    assert_eq!((rest.orders.now, rest.orders.already_there), (2, 1));
    assert_eq!(desk.shelf(), empty_shelf());
}

#[tokio::test]
async fn a_busy_server_is_asked_again_under_the_same_key() {
    let busy = ["online-retail:order:1001", "online-retail:complete:1002"];
    let busy_once = busy.map(str::to_owned).into();
    let desk = Desk::with(World { busy_once, ..World::default() }).await;

    let report = desk.import().await.unwrap();

    assert_eq!((report.orders.now, report.completed, report.repeats), (3, 3, 2));
    let sent = desk.server.seen("POST /orders");
    for key in busy {
        assert_eq!(sent.iter().filter(|seen| seen.key == key).count(), 2, "{key}");
    }
    assert_eq!(desk.shelf(), empty_shelf());
}

#[tokio::test]
async fn a_server_that_stays_busy_ends_the_import_with_advice() {
    let desk = Desk::with(World { always_busy: true, ..World::default() }).await;

    let error = import(&desk.args, Duration::from_millis(300))
        .await
        .unwrap_err();

    assert!(matches!(error, Error::GaveUp { .. }), "{error}");
    assert!(error.to_string().contains("continues where it stopped"), "{error}");
}

#[tokio::test]
async fn a_refused_order_goes_to_the_rejects_and_the_import_goes_on() {
    let world = World { refused_sku: Some("A".to_owned()), ..World::default() };
    let desk = Desk::with(world).await;

    let report = desk.import().await.unwrap();

    assert_eq!((report.orders.now, report.orders.failed, report.completed), (2, 1, 2));
    assert_eq!((report.accepted.lines, report.rejected["product.not_sold"]), (2, 2));
    assert_eq!(report.accepted.lines + report.rejected.values().sum::<u64>(), report.lines);
    let rejects = desk.rejects();
    let line = "3,product.not_sold,not for sale; /items/0/sku: withdrawn,1001,A,MUG,2,";
    assert!(rejects.contains(line), "{rejects}");
    assert_eq!(rejects.lines().count(), 1 + 3);
}

#[tokio::test]
async fn a_pending_order_is_waited_for() {
    let desk = Desk::with(World { pending_for: 2, ..World::default() }).await;

    let report = desk.import().await.unwrap();

    assert_eq!((report.orders.now, report.completed), (3, 3));
    let again = desk.import().await.unwrap();
    assert_eq!((again.orders.already_there, again.completed), (3, 3));
}

#[tokio::test]
async fn an_order_that_is_never_decided_is_left_for_a_later_run() {
    let desk = Desk::with(World { pending_for: u32::MAX, ..World::default() }).await;

    let report = import(&desk.args, Duration::from_millis(300))
        .await
        .unwrap();

    assert_eq!((report.orders.now, report.completed, report.unfinished), (3, 0, 3));
    desk.server.change(|world| world.pending_for = 0);
    let later = desk.import().await.unwrap();
    assert_eq!((later.orders.already_there, later.completed, later.unfinished), (3, 3, 0));
}

#[tokio::test]
async fn an_order_that_ends_cancelled_is_rejected_with_its_end() {
    let ends_as = Some("cancelled".to_owned());
    let desk = Desk::with(World { pending_for: 1, ends_as, ..World::default() }).await;

    let report = desk.import().await.unwrap();

    assert_eq!((report.orders.failed, report.completed), (3, 0));
    assert_eq!(report.rejected["order_cancelled"], 4);
    assert_eq!(desk.rejects().lines().count(), 1 + 5);
}

#[tokio::test]
async fn a_wrong_token_stops_at_once() {
    let mut desk = Desk::with(World::default()).await;

    desk.args.connection.token = Some("guess".to_owned());
    assert!(matches!(desk.import().await, Err(Error::UnknownToken { .. })));
    desk.args.connection.token = Some("customer".to_owned());
    assert!(matches!(desk.import().await, Err(Error::NotStaff { .. })));

    assert!(desk.server.seen("PUT").is_empty() && desk.server.seen("POST").is_empty());
}

#[tokio::test]
async fn an_import_that_broke_off_is_continued_by_the_next() {
    let world = World { forgets_tokens_after: Some(10), ..World::default() };
    let desk = Desk::with(world).await;
    assert!(matches!(desk.import().await, Err(Error::UnknownToken { .. })));
    desk.server
        .change(|world| world.forgets_tokens_after = None);

    let rest = desk.import().await.unwrap();

    assert_eq!(rest.orders.now + rest.orders.already_there, 3);
    assert!(rest.receipts.already_there == 3);
    assert_eq!(desk.server.change(|world| world.orders.len()), 3);
    assert_eq!(desk.shelf(), empty_shelf());
}

#[tokio::test]
async fn an_invoice_with_other_content_is_not_placed_twice() {
    let desk = Desk::with(World::default()).await;
    desk.import().await.unwrap();
    std::fs::write(&desk.args.file, FILE.replace("3.0", "4.0")).unwrap();

    let report = desk.import().await.unwrap();

    assert_eq!((report.orders.already_there, report.orders.failed), (2, 1));
    assert_eq!(report.rejected["idempotency_key_reused"], 1);
    assert_eq!((report.products.now, report.products.already_there), (1, 2));
}

#[tokio::test]
async fn the_import_ends_when_the_read_models_have_caught_up() {
    let behind = |lag: u64| {
        let orders = json!({"name": "orders", "position": 1, "lag": lag, "state": "live"});
        let sales = json!({"name": "sales", "position": 9, "lag": 0, "state": "live"});
        json!({"items": [orders, sales]})
    };
    // The greeting takes the first two.
    let listings = [0, 0, 7, 3, 0].map(behind).to_vec();
    let desk = Desk::with(World { listings, ..World::default() }).await;

    let report = desk.import().await.unwrap();

    assert_eq!(report.caught_up.unwrap().lag_events, 7);
    assert_eq!(desk.server.seen("GET /projections").len(), 5);
}

#[tokio::test]
async fn nobody_there_and_no_file_are_sentences() {
    let mut desk = Desk::with(World::default()).await;
    // A port that was free a moment ago, and that nobody listens on any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    desk.args.connection.url = format!("http://{free}");
    let error = desk.import().await.unwrap_err().to_string();
    assert!(error.contains("no server answers") && error.contains("daybook dev"), "{error}");

    desk.args.file = desk.folder.path().join("missing.csv");
    let error = desk.import().await.unwrap_err().to_string();
    assert!(error.contains("missing.csv"), "{error}");
}

//! A small made-up year through the importer, end to end.

use std::io::Write as _;
use std::time::Duration;

use client::Connection;
use client::online_retail::{Args, import};
use serde_json::json;
use tests::World;
use tests::world::STAFF;

/// Three orders of two customers and a guest, and one line for each rule that makes a line no
/// order line, and one that is broken.
const FILE: &str = "\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
100001,MUG,Blue mug,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
100001,MUG,Blue mug,2,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
100001,mug,Small mug,1,2010-12-01 08:26:00,1.10,17850.0,United Kingdom
100002,JAR,Jam jar,10,2010-12-02 09:00:00,0.85,,France
C10003,MUG,Blue mug,-1,2010-12-02 10:00:00,2.55,17850.0,United Kingdom
A10004,B,Adjust bad debt,1,2010-12-02 10:30:00,11062.06,,United Kingdom
100005,JAR,broken,-3,2010-12-02 11:00:00,0.0,,United Kingdom
100006,JAR,Jam jar,1,2010-12-02 11:30:00,0.0,,United Kingdom
100007,JAR,Jam jar,1,2010-12-02 12:00:00,0.001,,United Kingdom
100008,JAR,Jam jar,many,2010-12-02 12:30:00,0.85,,United Kingdom
100009,JAR,Jam jar,5,2011-01-03 13:00:00,0.90,12345.0,EIRE
";

fn args(world: &World, folder: &std::path::Path) -> Args {
    let file = folder.join("year.csv");
    std::fs::File::create(&file)
        .unwrap()
        .write_all(FILE.as_bytes())
        .unwrap();
    Args {
        file,
        concurrency: 8,
        orders: None,
        rejects: Some(folder.join("rejects.csv")),
        connection: Connection {
            url: world.url.clone(),
            token: Some(STAFF.to_owned()),
            data_dir: folder.to_owned(),
        },
    }
}

#[tokio::test]
async fn a_made_up_year_is_imported_once_however_often_it_is_imported() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let args = args(&world, folder.path());

    for run in 1..=2 {
        let report = import(&args, Duration::from_secs(30)).await.unwrap();
        assert_eq!(report.unfinished, 0, "run {run}: {report}");
        world.settle().await;

        let completed = world.get("/api/v1/orders?status=completed").await.json();
        assert_eq!(completed["items"].as_array().unwrap().len(), 3, "run {run}");
        let stock = world.get("/api/v1/inventory").await.json();
        for item in stock["items"].as_array().unwrap() {
            assert_eq!((&item["on_hand"], &item["reserved"]), (&json!(0), &json!(0)), "{item}");
        }
        let by_month = world
            .get("/api/v1/reports/sales?group_by=month")
            .await
            .json();
        let months: Vec<_> = by_month["items"].as_array().unwrap().iter().collect();
        assert_eq!(months.len(), 2);
        assert_eq!(
            (&months[0]["key"], &months[0]["gross"]["amount"]),
            (&json!("2010-12"), &json!("30.00"))
        );
        assert_eq!(
            (&months[1]["key"], &months[1]["gross"]["amount"]),
            (&json!("2011-01"), &json!("4.50"))
        );
        let by_country = world
            .get("/api/v1/reports/sales?group_by=country")
            .await
            .json();
        let countries: Vec<_> = by_country["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["key"].as_str().unwrap(), row["gross"]["amount"].as_str().unwrap()))
            .collect();
        assert_eq!(countries, [("FR", "8.50"), ("GB", "21.50"), ("IE", "4.50")]);
        let rejects = std::fs::read_to_string(folder.path().join("rejects.csv")).unwrap();
        assert_eq!(rejects.lines().count(), 1 + 6, "run {run}: {rejects}");
    }
    world.verify().await;
}

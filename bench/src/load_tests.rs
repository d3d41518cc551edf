//! What the load generator promises to whoever reads its counts.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::http::Answer;
use crate::load::{Next, Outcome, Pace, Plan, Work, run};

/// Answers every request of four bytes, the word `fail` with a 500.
async fn server() -> SocketAddr {
    async fn answer(mut stream: TcpStream) {
        let mut request = [0; 4];
        while stream.read_exact(&mut request).await.is_ok() {
            let status = if &request == b"fail" {
                "500 Oh"
            } else {
                "200 OK"
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

/// So many requests, each of which is followed by another at once.
struct Pairs {
    left: u32,
    second: Vec<bool>,
    word: &'static [u8],
}

impl Work for Pairs {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> Next {
        request.extend_from_slice(self.word);
        if self.second[connection] {
            return Next::AtOnce;
        }
        if self.left == 0 {
            return Next::Finished;
        }
        self.left -= 1;
        Next::Paced
    }

    fn take(&mut self, connection: usize, answer: &Answer<'_>) -> Outcome {
        if !answer.is_success() {
            return Outcome::Failed;
        }
        self.second[connection] = !self.second[connection];
        if self.second[connection] {
            Outcome::Passed
        } else {
            Outcome::Counted
        }
    }
}

fn pairs(left: u32, word: &'static [u8]) -> Pairs {
    Pairs { left, second: vec![false; 8], word }
}

#[tokio::test]
async fn so_many_are_sent_and_all_are_answered() {
    let (loaded, work) = run(server().await, Plan::all(8), pairs(100, b"good"))
        .await
        .unwrap();

    assert_eq!((loaded.counted, loaded.acknowledged, work.left), (100, 100, 0));
    assert_eq!(loaded.answers(), 200);
    assert!(loaded.must_be_clean("this").is_ok());
}

#[tokio::test]
async fn what_fails_is_told_with_the_first_complaint() {
    let (loaded, _) = run(server().await, Plan::all(1), pairs(3, b"fail"))
        .await
        .unwrap();

    let error = loaded
        .must_be_clean("nothing works")
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("nothing works: 3 requests failed"), "{error}");
    assert!(error.contains("500"), "{error}");
}

#[tokio::test]
async fn an_open_pace_is_never_exceeded() {
    let plan = Plan {
        connections: 8,
        pace: Pace::Open(200.0),
        warm_up: Duration::ZERO,
        measured: Some(Duration::from_millis(500)),
    };
    let (loaded, work) = run(server().await, plan, pairs(1_000, b"good"))
        .await
        .unwrap();

    // 200 a second for half a second; each connection may have taken one that came too late.
    assert!(0 < loaded.acknowledged && loaded.acknowledged <= 100, "{loaded:?}");
    assert!(892 <= work.left, "{}", work.left);
}

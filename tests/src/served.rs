//! A Daybook in a process of its own, which a test can kill.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::world::{Answer, PATIENCE};

/// Pause before what has not been answered is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// An answer that takes longer is none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A Daybook in a process of its own; it goes with this.
pub struct Served {
    program: PathBuf,
    environment: Vec<(String, String)>,
    /// What it logs is added to this file; without one it goes where the test's own errors go.
    log: Option<PathBuf>,
    running: tokio::sync::Mutex<Option<Child>>,
    url: Mutex<String>,
    http: Client,
}

impl Served {
    /// Starts this program with these variables and no others.
    pub async fn start(program: impl Into<PathBuf>, environment: Vec<(String, String)>) -> Self {
        Self::start_with_log(program, environment, None).await
    }

    /// The same with what it logs in a file.
    pub async fn start_with_log(
        program: impl Into<PathBuf>,
        environment: Vec<(String, String)>,
        log: Option<PathBuf>,
    ) -> Self {
        // Whoever came first has installed the same one.
        let _there = rustls::crypto::ring::default_provider().install_default();
        let served = Self {
            program: program.into(),
            environment,
            log,
            running: tokio::sync::Mutex::default(),
            url: Mutex::default(),
            http: Client::builder()
                .timeout(ANSWER_TIMEOUT)
                .build()
                .expect("nothing in it could be wrong"),
        };
        *served.running.lock().await = Some(served.begin().await);
        served
    }

    /// SIGKILL, and then the next process on the same data.
    pub async fn dies_and_comes_back(&self) {
        let mut running = self.running.lock().await;
        let mut child = running.take().expect("it runs");
        child.kill().await.expect("it can be killed");
        *running = Some(self.begin().await);
    }

    /// Where it answers now, without a slash at the end.
    pub fn url(&self) -> String {
        self.url
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A request; its path begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url()))
    }

    /// The answer to a request that is made anew until somebody answers it, whoever dies meanwhile.
    pub async fn insist(&self, request: impl Fn() -> RequestBuilder) -> Answer {
        loop {
            if let Some(answer) = self.once(request()).await
                && !answer.status.is_server_error()
                && answer.status != reqwest::StatusCode::TOO_MANY_REQUESTS
            {
                return answer;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// The answer to a request, if there is one.
    pub async fn once(&self, request: RequestBuilder) -> Option<Answer> {
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.ok()?;
        Some(Answer { status, headers, text })
    }

    async fn begin(&self) -> Child {
        let deadline = Instant::now() + PATIENCE;
        let mut child = self.spawn().await;
        while !self.is_alive().await {
            assert!(Instant::now() < deadline, "it does not begin to serve");
            // Somebody else may have taken the port meanwhile.
            if child.try_wait().expect("it is ours").is_some() {
                child = self.spawn().await;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        child
    }

    async fn is_alive(&self) -> bool {
        let answer = self.once(self.request(Method::GET, "/health/live")).await;
        answer.is_some_and(|answer| answer.status.is_success())
    }

    async fn spawn(&self) -> Child {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        *self.url.lock().unwrap_or_else(PoisonError::into_inner) = format!("http://{address}");
        let kept = ["DAYBOOK_LOG", "LLVM_PROFILE_FILE"];
        let kept = kept
            .iter()
            .filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let log = self.log.as_ref().map_or_else(Stdio::inherit, |path| {
            let file = File::options().create(true).append(true).open(path);
            file.expect("its log can be written").into()
        });
        Command::new(&self.program)
            .args(["--listen", &address.to_string()])
            .env_clear()
            .envs(kept)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the program is there")
    }
}

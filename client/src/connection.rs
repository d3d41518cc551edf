//! Where the server is, and who is asking: the flags that every command here shares.

use std::path::{Path, PathBuf};

use crate::Error;

/// Name of the file that `daybook dev` keeps its staff token in, below its data directory.
const TOKEN_FILE: &str = "staff-token";

/// The server to talk to, and the token to show it.
#[derive(Debug, Clone, clap::Args)]
pub struct Connection {
    /// Address of the running server
    #[arg(long, env = "DAYBOOK_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Staff token; without it, `DAYBOOK_STAFF_TOKEN`, then the file `staff-token` in the data
    /// directory
    #[arg(long, env = "DAYBOOK_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Where `daybook dev` keeps its staff token
    #[arg(long, env = "DAYBOOK_DATA_DIR", default_value = ".daybook")]
    pub data_dir: PathBuf,
}

impl Connection {
    /// The first token found in the order that the help promises.
    pub(crate) fn staff_token(&self) -> Result<String, Error> {
        let given = self.token.clone().filter(|token| !token.is_empty());
        let configured = || {
            std::env::var("DAYBOOK_STAFF_TOKEN")
                .ok()
                .filter(|token| !token.is_empty())
        };
        match given.or_else(configured) {
            Some(token) => Ok(token),
            None => kept_token(&self.data_dir),
        }
    }
}

fn kept_token(data_dir: &Path) -> Result<String, Error> {
    let path = data_dir.join(TOKEN_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err(Error::NoToken { path }),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NoToken { path }),
        Err(source) => Err(Error::TokenFile { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_token_comes_before_the_kept_one() {
        let kept = tempfile::tempdir().unwrap();
        std::fs::write(kept.path().join("staff-token"), "kept\n").unwrap();
        let connection = |token: Option<&str>| Connection {
            url: String::new(),
            token: token.map(str::to_owned),
            data_dir: kept.path().to_owned(),
        };

        assert_eq!(connection(Some("given")).staff_token().unwrap(), "given");
        assert_eq!(kept_token(&connection(None).data_dir).unwrap(), "kept");
    }

    #[test]
    fn without_any_token_the_sentence_says_where_to_get_one() {
        let nothing_kept = tempfile::tempdir().unwrap();

        let error = kept_token(nothing_kept.path()).unwrap_err().to_string();

        assert!(error.contains("--token"), "{error}");
        assert!(error.contains("staff-token"), "{error}");
    }
}

//! The command line.
//!
//! Plain `book` (and so plain `cargo run`) builds, serves and waits. The two other forms are
//! for machines: `--build-only` writes the pages for hosting and checks, `preprocess` is what
//! the stock `mdbook` command calls.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Reads the book on this machine and runs its examples from the page.
#[derive(Debug, Parser)]
#[command(name = "book", version, about)]
pub struct Args {
    /// Port to serve on; 0 takes any free one.
    #[arg(long, value_name = "N", default_value_t = 3000)]
    pub port: u16,

    /// Open the book in the browser.
    #[arg(long)]
    pub open: bool,

    /// Another host name under which the browser reaches this port (a forwarded port).
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub allow_host: Vec<String>,

    /// Build the pages, strictly, and stop.
    #[arg(long, conflicts_with_all = ["open", "port", "allow_host"])]
    pub build_only: bool,

    /// Where --build-only writes the pages [default: target/book].
    #[arg(long, value_name = "DIR", requires = "build_only")]
    pub out: Option<PathBuf>,

    /// Take another folder for the workspace (for tests).
    #[arg(long, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,

    /// Take another folder for the recorded runs (for tests).
    #[arg(long, value_name = "DIR", hide = true)]
    pub snapshots: Option<PathBuf>,

    /// For other programs.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What other programs ask for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The preprocessor, for the stock `mdbook` command: JSON in, JSON out.
    #[command(hide = true)]
    Preprocess {
        /// mdBook asks first whether a renderer is supported.
        #[command(subcommand)]
        question: Option<Question>,
    },
    /// The book's own second process: cleans up after a server that was killed.
    #[cfg(unix)]
    #[command(hide = true)]
    Keep,
    /// Exit code 0 when the preprocessor supports this renderer.
    #[command(hide = true)]
    Supports {
        /// The renderer's name.
        renderer: String,
    },
}

/// mdBook's question to a preprocessor.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Exit code 0 when the preprocessor supports this renderer.
    Supports {
        /// The renderer's name.
        renderer: String,
    },
}

/// A bare host name: what stands in a `Host` header before the port.
fn host(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    // Labels between dots, none of them empty, none with a dash at an end.
    let label = |label: &str| {
        label.chars().all(plain)
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.split('.').all(label) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("give a bare host name such as box.example, without scheme, port or path".to_string())
    }
}

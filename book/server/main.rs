//! The program `book`: what `cargo run` starts.
//!
//! It reads the command line, does one of three things (serve, build, preprocess), and turns
//! an error into one line and an exit code. All else is in the library next to it.

use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use mdbook_preprocessor::Preprocessor;
use safepoint_book::cli::{Args, Command, Question};
use safepoint_book::preprocess::Safepoint;
use safepoint_book::snapshot::Snapshots;
use safepoint_book::workspace::Workspace;
use safepoint_book::{build, web};

fn main() -> ExitCode {
    // A wrong flag or value ends here, with clap's line and exit code 2.
    let args = Args::parse();
    match run(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("Safepoint: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<ExitCode> {
    #[cfg(unix)]
    if let Some(Command::Keep) = args.command {
        safepoint_book::run::keeper::keep(io::stdin().lock());
        return Ok(ExitCode::SUCCESS);
    }
    let mut ws = match &args.root {
        Some(root) => Workspace::at(std::path::absolute(root)?),
        None => Workspace::find(),
    };
    if let Some(dir) = &args.snapshots {
        ws.snapshots = Snapshots::new(std::path::absolute(dir)?);
    }
    match args.command {
        Some(Command::Preprocess { question: None }) => preprocess(ws),
        Some(
            Command::Supports { renderer }
            | Command::Preprocess {
                question: Some(Question::Supports { renderer }),
            },
        ) => {
            let supported = Safepoint::new(ws, true).supports_renderer(&renderer)?;
            Ok(ExitCode::from(u8::from(!supported)))
        }
        #[cfg(unix)]
        Some(Command::Keep) => Ok(ExitCode::SUCCESS),
        None if args.build_only => {
            let out = args.out.unwrap_or_else(|| ws.root.join("target/book"));
            build::publish(&ws, &out)?;
            println!("Safepoint: the pages are in {}", out.display());
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let options = web::Options {
                port: args.port,
                open: args.open,
                hosts: args.allow_host,
            };
            web::serve(ws, options)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The stock `mdbook` command hands over the book as JSON and takes it back.
fn preprocess(ws: Workspace) -> Result<ExitCode> {
    let (context, book) = mdbook_preprocessor::parse_input(io::stdin())
        .context("`book preprocess` is called by mdbook, with the book as JSON on its input")?;
    let book = Safepoint::new(ws, true).run(&context, book)?;
    serde_json::to_writer(io::stdout(), &book)?;
    Ok(ExitCode::SUCCESS)
}

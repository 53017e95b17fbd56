//! Tests of the book as a reader meets it: over a socket, and in a browser.

#[cfg(unix)]
mod api;
#[cfg(unix)]
mod browser;
#[cfg(unix)]
mod driver;
mod figures;
#[cfg(unix)]
mod layout;
mod pages;
#[cfg(unix)]
mod program;
mod support;

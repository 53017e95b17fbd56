//! Printing that does not panic: if stdout cannot be written, for example because the disk
//! is full, the program says so and ends with status 3.

use std::fmt::Arguments;
use std::io::Write;

/// Writes to stdout, or ends the program.
pub fn write(what: Arguments<'_>) {
    if let Err(error) = std::io::stdout().write_fmt(what) {
        eprintln!("exercises: the answer cannot be printed: {error}");
        std::process::exit(3);
    }
}

macro_rules! out {
    ($($what:tt)*) => { $crate::out::write(format_args!($($what)*)) };
}
macro_rules! outln {
    () => { $crate::out::write(format_args!("\n")) };
    ($($what:tt)*) => { $crate::out::write(format_args!("{}\n", format_args!($($what)*))) };
}
pub(crate) use {out, outln};

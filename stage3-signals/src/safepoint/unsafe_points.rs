//! The map of unsafe points: for every function of `gotext` whether it may be stopped. Go's
//! compiler writes such tables into the program (`PCDATA_UnsafePoint`, `funcdata`); here they are
//! read from the machine code (`decode.rs`) when the first run begins, about 1 ms for 100 KB.
//!
//! The unit is the function. Where in it the compiler has let go of a thread's variable cannot
//! be told without its help, so a function that touches one is not stopped anywhere. The price: a
//! loop in there notices a request only at a check. It needs a function of its own, or
//! `prologue!()`; the example `unsafe_points` lists such functions.
//!
//! A signal's handler looks up the address where it has interrupted a goroutine. The table is made
//! once, before any signal, and never moves or changes.
//!
//! Tests: `unsafe_points`. The chapter is *May it be stopped here?*.

use crate::safepoint::decode;
use crate::safepoint::loaded::Loaded;
use stage2_sysmon::rt::os::say;
use std::sync::OnceLock;

/// What the map says of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// It belongs to no function: the slow path of a check, or the gap between two functions.
    NoFunction,
    /// Its function touches something of its thread.
    ThreadLocal,
    /// A goroutine may be stopped here.
    Fine,
}

/// One function.
struct Function {
    start: usize,
    end: usize,
    place: Place,
}

/// All of them, by address.
static MAP: OnceLock<Box<[Function]>> = OnceLock::new();

/// Reads the map, once in a process. To be called before the first signal; not by a handler.
pub fn init() {
    MAP.get_or_init(|| {
        let program = Loaded::here();
        read(&program).unwrap_or_else(|error| {
            say!("runtime: no signal can stop a goroutine: the program's unwind tables say where its functions are, and cannot be read ({error})");
            Box::default()
        })
    });
}

fn read(program: &Loaded) -> Result<Box<[Function]>, gimli::Error> {
    let function = |f: std::ops::Range<u64>| Function {
        start: f.start as usize,
        end: f.end as usize,
        place: match decode::points(program, f).next() {
            Some(_) => Place::ThreadLocal,
            None => Place::Fine,
        },
    };
    let functions = decode::functions(program)?;
    Ok(functions.into_iter().map(function).collect())
}

// ANCHOR: look_up
/// What the map says of `pc`. Async-signal-safe: it loads a pointer, and searches in a table that
/// no thread writes to any more. Before [`init`] no address belongs to a function.
pub fn look_up(pc: usize) -> Place {
    let map = MAP.get().map_or(&[][..], |map| map);
    let after = map.partition_point(|f| f.start <= pc);
    match map[..after].last() {
        Some(f) if pc < f.end => f.place,
        _ => Place::NoFunction,
    }
}
// ANCHOR_END: look_up

#[cfg(test)]
mod tests {
    use super::{Place, init, look_up};
    use stage2_sysmon::{rt::arch::in_gotext, spin};

    /// These tests are such a program: in `gotext` is only what the runtime has there.
    #[test]
    fn a_program_without_a_gofunc_has_a_map() {
        let spin = spin as *const () as usize;
        assert_eq!(look_up(spin), Place::NoFunction, "before there is a map");
        init();
        assert_eq!(look_up(spin), Place::Fine);
        for pc in [0, init as *const () as usize, usize::MAX] {
            assert!(!in_gotext(pc));
            assert_eq!(look_up(pc), Place::NoFunction);
        }
    }
}

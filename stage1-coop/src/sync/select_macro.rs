//! The macro `select!`: Go's statement, as arms of a match. Go's compiler does the same work
//! (`cmd/compile/internal/walk/select.go`): it lays out the cases, calls `selectgo`, and jumps to
//! the body of the one that it chose. The chapter is *Blocking, and the one unsafe word*.
//!
//! Tests: `chan::select`.

/// Waits for the first of several channels. Go's `select`.
///
/// ```no_run
/// # use stage1_coop::{Chan, select};
/// # fn f(numbers: Chan<u32>, words: Chan<&'static str>, out: Chan<u32>, mut left: Vec<u32>) {
/// select! {
///     recv(numbers) -> n => println!("{n:?}"),     // Option<u32>: None when it is closed
///     recv(words) => println!("a word"),           // what came is dropped
///     send(out, left[0]) if !left.is_empty() => drop(left.remove(0)),
///     default => println!("nothing could go"),     // without it, the goroutine parks
/// }
/// # }
/// ```
///
/// An arm with `if` takes part only when its condition holds; if not, the value that it would
/// send is not computed either. The channel is, as in Go, where one switches an arm off by a
/// channel that is nil. With no arm left and no `default` the goroutine waits for ever.
///
/// Channels and values are computed from top to bottom before anything is tried. They are done
/// with when an arm's body begins, so a body may assign to a channel of its `select!`.
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => {
        $crate::__select!(@arm () (0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15) () $($arms)*)
    };
}

/// The inside of `select!`. `@arm` takes the head of one arm, `@body` its body; each arm gets
/// the next number of the pool as its place in a tuple of typed cases. What is left is an error
/// of the program's, so the last rules say which.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@arm $done:tt $pool:tt $default:tt) => {
        $crate::__select!(@go $done $default)
    };
    // Patterns that never fit an `Option`, or not always. The compiler's words would be about a
    // `let` that is not in the program.
    (@arm $done:tt $pool:tt $default:tt recv($($c:tt)*) -> Some($($p:tt)*) => $($rest:tt)*) => {
        $crate::__select!(@option)
    };
    (@arm $done:tt $pool:tt $default:tt recv($($c:tt)*) -> Some($($p:tt)*) if $($rest:tt)*) => {
        $crate::__select!(@option)
    };
    (@arm $done:tt $pool:tt $default:tt recv($($c:tt)*) -> None $($rest:tt)*) => {
        $crate::__select!(@option)
    };
    (@arm $done:tt $pool:tt $default:tt recv($($c:tt)*) -> ($v:tt, $ok:tt) $($rest:tt)*) => {
        $crate::__select!(@option)
    };
    (@option) => {
        ::core::compile_error!("select!: an arm that receives gets one `Option`, `None` when the channel is closed, and must take both; name it, `recv(channel) -> got => body`, and let the body ask: `match got`, or `if let Some(value) = got`")
    };
    (@arm $done:tt $pool:tt $default:tt recv($c:expr $(,)?) -> $p:pat => $($rest:tt)+) => {
        $crate::__select!(@body {recv ($c) ($p) (true)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt $default:tt recv($c:expr $(,)?) -> $p:pat if $on:expr => $($rest:tt)+) => {
        $crate::__select!(@body {recv ($c) ($p) ($on)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt $default:tt recv($c:expr $(,)?) => $($rest:tt)+) => {
        $crate::__select!(@body {recv ($c) (_) (true)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt $default:tt recv($c:expr $(,)?) if $on:expr => $($rest:tt)+) => {
        $crate::__select!(@body {recv ($c) (_) ($on)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt $default:tt send($c:expr, $v:expr $(,)?) => $($rest:tt)+) => {
        $crate::__select!(@body {send ($c, $v) () (true)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt $default:tt send($c:expr, $v:expr $(,)?) if $on:expr => $($rest:tt)+) => {
        $crate::__select!(@body {send_if ($c, $v) () ($on)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt () default => $($rest:tt)+) => {
        $crate::__select!(@body {default} $done $pool () $($rest)+)
    };

    // As in `match`, a block needs no comma, nor does the last arm.
    (@body $arm:tt $done:tt $pool:tt $default:tt $body:expr, $($rest:tt)*) => {
        $crate::__select!(@add $arm ($body) $done $pool $default $($rest)*)
    };
    (@body $arm:tt $done:tt $pool:tt $default:tt $body:block $($rest:tt)*) => {
        $crate::__select!(@add $arm ($body) $done $pool $default $($rest)*)
    };
    (@body $arm:tt $done:tt $pool:tt $default:tt $body:expr) => {
        $crate::__select!(@add $arm ($body) $done $pool $default)
    };
    (@body $($rest:tt)*) => {
        ::core::compile_error!("select!: a comma is missing between two arms")
    };

    (@add {default} $body:tt $done:tt $pool:tt () $($rest:tt)*) => {
        $crate::__select!(@arm $done $pool $body $($rest)*)
    };
    (@add {$($arm:tt)+} $body:tt ($($done:tt)*) ($n:tt $($pool:tt)*) $default:tt $($rest:tt)*) => {
        $crate::__select!(@arm ($($done)* {$n $($arm)+ $body}) ($($pool)*) $default $($rest)*)
    };
    (@add $arm:tt $body:tt $done:tt () $($rest:tt)*) => {
        ::core::compile_error!("select!: more than 16 arms; a `Select` takes a list of channels")
    };

    (@case recv ($c:expr) $on:expr) => { $crate::rt::sync::RecvCase::new(&$c) };
    (@case send ($c:expr, $v:expr) $on:expr) => { $crate::rt::sync::SendCase::new(&$c, $v) };
    (@case send_if ($c:expr, $v:expr) $on:expr) => {
        $crate::rt::sync::SendCase::of(&$c, if $on { ::core::option::Option::Some($v) } else { ::core::option::Option::None })
    };
    (@bind recv $p:pat, $got:expr) => { let $p = $got.unwrap_or(::core::option::Option::None); };
    (@bind $send:ident , $got:expr) => {};
    (@default ()) => { ::core::unreachable!("a select without default has a case") };
    (@default ($body:expr)) => { $body };
    (@go ($({$n:tt $kind:ident ($($args:tt)*) ($($p:tt)*) ($on:expr) ($body:expr)})*) $default:tt) => {{
        #[allow(unused_variables)]
        let on = ($($on,)*);
        // The cases end with this statement, and what was made for them: the bodies are free.
        #[allow(unused_mut, unused_variables, clippy::match_single_binding)]
        let (picked, got) = match ($($crate::__select!(@case $kind ($($args)*) on.$n),)*) {
            mut cases => {
                let picked = $crate::rt::sync::selectgo(
                    &mut [$(cases.$n.case().on(on.$n)),*],
                    $crate::__select!(@waits $default),
                );
                // SAFETY: each case is asked once, by its own number.
                let got = ($(unsafe { cases.$n.end(picked, $n) },)*);
                (picked, got)
            }
        };
        match picked {
            $(::core::option::Option::Some(($n, _)) => {
                $crate::__select!(@bind $kind $($p)*, got.$n);
                $body
            })*
            _ => $crate::__select!(@default $default),
        }
    }};
    (@waits ()) => { true };
    (@waits $default:tt) => { false };

    // What is left is no arm.
    (@arm $done:tt $pool:tt $default:tt recv($($c:tt)*) $($rest:tt)*) => {
        ::core::compile_error!("select!: an arm that receives is `recv(channel) -> pattern => body`, and `if condition` may stand in front of `=>`")
    };
    (@arm $done:tt $pool:tt $default:tt send($($c:tt)*) $($rest:tt)*) => {
        ::core::compile_error!("select!: an arm that sends is `send(channel, value) => body`, and `if condition` may stand in front of `=>`")
    };
    (@arm $done:tt $pool:tt () default $($rest:tt)*) => {
        ::core::compile_error!("select!: the arm for when nothing can go is `default => body`")
    };
    (@arm $done:tt $pool:tt $default:tt default $($rest:tt)*) => {
        ::core::compile_error!("select!: there are two arms `default`")
    };
    (@arm $done:tt $pool:tt $default:tt recv $($rest:tt)*) => {
        ::core::compile_error!("select!: the channel of an arm that receives is in parentheses: `recv(channel) -> pattern => body`")
    };
    (@arm $done:tt $pool:tt $default:tt send $($rest:tt)*) => {
        ::core::compile_error!("select!: the channel and the value of an arm that sends are in parentheses: `send(channel, value) => body`")
    };
    (@arm $done:tt $pool:tt $default:tt $other:tt $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "select!: no arm begins with `", ::core::stringify!($other),
            "`; arms are `recv(channel) -> pattern => body`, `send(channel, value) => body` and `default => body`"
        ))
    };
}

//! `#[gofunc]` does by hand what Go's compiler does to every function: it puts the
//! stack-guard check in front of the body.
//!
//! The check itself is `prologue!()` in `stage1-coop`; this crate only pastes it, so it
//! needs no parser and no dependency. Mirrors `cmd/internal/obj/x86.stacksplit`.
//! The chapter on the check tells the story.
//!
//! Tests: `check_shape`, `heard`.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Makes a function a *Go function*: it starts with the guard check, is never inlined,
/// and lives in the section `gotext`.
///
/// ```text
/// #[gofunc]           fn f(n: u64) -> u64 { … }   // checked
/// #[gofunc(nosplit)]  fn g(n: u64) -> u64 { … }   // the check is left out, as with //go:nosplit
/// ```
///
/// The crate that uses it must depend on a stage whose `prologue!` macro is in scope
/// under the name that the stage re-exports (`use stage1_coop::prologue;`), which
/// `use stage1_coop::*` gives too.
///
/// * `#[inline(never)]`: a prologue belongs to a function. Inlined, the check would still
///   be harmless, but it would no longer stand where a reader looks for it.
/// * `gotext`: the one section that holds goroutines' own code. Whether a program counter
///   lies in it is how the runtime tells a goroutine's code from all other code.
#[proc_macro_attribute]
pub fn gofunc(attr: TokenStream, item: TokenStream) -> TokenStream {
    let mode = attr.to_string();
    let nosplit = match mode.trim() {
        "" => false,
        "nosplit" => true,
        other => {
            return error(&format!(
                "`#[gofunc({other})]`: write `#[gofunc]` or `#[gofunc(nosplit)]`"
            ));
        }
    };

    // An item is a function when its last token tree is its body.
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    let body = match tokens.pop() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => group,
        _ => return error("`#[gofunc]` goes on a function with a body"),
    };
    let is_fn = tokens
        .iter()
        .any(|t| matches!(t, TokenTree::Ident(i) if i.to_string() == "fn"));
    if !is_fn {
        return error("`#[gofunc]` goes on a function with a body");
    }
    if tokens
        .iter()
        .any(|t| matches!(t, TokenTree::Ident(i) if i.to_string() == "async"))
    {
        return error(
            "`#[gofunc]` does not go on an `async fn`: its body runs later, in another function",
        );
    }

    let mut checked = TokenStream::new();
    if !nosplit && not_imported(&tokens) {
        // Instead of "cannot find macro", about a name that the user has not written.
        return error(
            "`#[gofunc]` begins the function with `prologue!()`, and that macro is not in \
             scope: import both from your stage, as in `use stage1_coop::{gofunc, prologue};`",
        );
    }
    if !nosplit {
        checked.extend(parse("prologue!();"));
    }
    checked.extend(body.stream());
    let mut new_body = Group::new(Delimiter::Brace, checked);
    new_body.set_span(body.span());

    let mut out = parse("#[inline(never)] #[unsafe(link_section = \"gotext\")]");
    out.extend(tokens);
    out.extend([TokenTree::Group(new_body)]);
    out
}

/// Whether the file that the function stands in can have no `prologue!` in scope: it does not
/// mention it, and imports nothing by `*`. A macro cannot ask the compiler.
fn not_imported(function: &[TokenTree]) -> bool {
    let file = function.first().and_then(|t| t.span().local_file());
    let Some(text) = file.and_then(|f| std::fs::read_to_string(f).ok()) else {
        return false;
    };
    let in_scope = ["prologue", "macro_use", "::*", "*}", "*,"];
    text.contains("gofunc") && !in_scope.iter().any(|way| text.contains(way))
}

fn parse(text: &str) -> TokenStream {
    text.parse()
        .expect("a literal token stream of this file parses")
}

fn error(message: &str) -> TokenStream {
    parse(&format!("compile_error!({message:?});"))
}

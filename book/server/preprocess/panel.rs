//! The Markdown and HTML that stand for an example: listing, place of the run panel,
//! recorded runs.
//!
//! Without a script, and in print, this is all that the reader sees: the command to type,
//! the recorded output, the picture and the trace. The script of the page replaces the
//! command by buttons when the server is there. A block of HTML never holds an empty line.

use crate::figure;
use crate::snapshot::Recording;
use crate::trace;
use crate::workspace::Example;

/// An example: its source, the panel that runs it, and what was recorded; the first recorded
/// run is unfolded if `open`.
pub fn example(
    example: &Example,
    id: Option<String>,
    listing: bool,
    recorded: &[(u32, Result<Recording, String>)],
    known: &[u32],
    open: bool,
) -> String {
    let id = id.map_or(String::new(), |id| format!(" id=\"{id}\""));
    let mut out = format!("<div class=\"sp-example\"{id}>\n\n");
    if listing {
        out.push_str(&format!(
            "<p class=\"sp-file\"><code>{}/examples/{}.rs</code></p>\n\n{}\n\n",
            example.pkg,
            example.name,
            fence("rust", &super::include::listing(&example.source))
        ));
    }
    let first = recorded.first().map_or(1, |(procs, _)| *procs);
    out.push_str(&place(example, first, known));
    for (index, (procs, recording)) in recorded.iter().enumerate() {
        match recording {
            Ok(recording) => out.push_str(&recorded_run(*procs, recording, open && index == 0)),
            Err(what) => out.push_str(&format!("{}\n\n", missing(what))),
        }
    }
    out.push_str("</div>\n");
    out
}

/// Where the script builds the panel; until then, the command for a terminal.
fn place(example: &Example, procs: u32, known: &[u32]) -> String {
    let tries = serde_json::to_string(&example.tries).unwrap_or_default();
    let known: Vec<String> = known.iter().map(u32::to_string).collect();
    format!(
        "<div class=\"sp-panel\" data-pkg=\"{}\" data-name=\"{}\" data-procs=\"{procs}\" data-recorded=\"{}\" data-flag=\"{}\" data-tries=\"{}\">\n<p class=\"sp-command\">Run it in a terminal: <code>{}</code></p>\n</div>\n\n",
        escape(&example.pkg),
        escape(&example.name),
        known.join(","),
        example.flag,
        escape(&tries),
        escape(&example.command()),
    )
}

fn recorded_run(procs: u32, recording: &Recording, open: bool) -> String {
    let trace = trace::read(&recording.trace);
    let picture = figure::draw(&trace);
    let open = if open { " open" } else { "" };
    let exit = match recording.exit.as_str() {
        "0" => String::new(),
        code => format!(", exit code {}", escape(code)),
    };
    format!(
        "<details class=\"sp-recorded\" data-procs=\"{procs}\"{open}>\n<summary>Recorded run: <code>GOMAXPROCS={procs}</code>, seed 1{exit}</summary>\n\n{}\n\n{}\n\n<details class=\"sp-full\">\n<summary>The whole trace, {} events</summary>\n\n{}\n\n</details>\n</details>\n\n",
        output(recording),
        self::picture(picture.as_deref()),
        trace.events.len(),
        fence("text", recording.trace.trim_end()),
    )
}

/// What a recorded run printed, and its last words if it died. Their frames, which depend on
/// the compiler, are not recorded.
pub fn output(recording: &Recording) -> String {
    let printed = match recording.output.trim_end() {
        "" => "<p class=\"sp-quiet\">It prints nothing.</p>".to_string(),
        text => fence("text", text),
    };
    if recording.last_words.is_empty() {
        return printed;
    }
    let words = fence("text", &recording.last_words);
    let before = if recording.output.trim().is_empty() {
        String::new()
    } else {
        format!("{printed}\n\n")
    };
    format!("{before}<p class=\"sp-quiet\">Its last words, without the frames:</p>\n\n{words}")
}

/// The picture in a box that scrolls sideways on a narrow screen. The box takes the focus,
/// so that the arrow keys can scroll it too.
pub fn picture(svg: Option<&str>) -> String {
    match svg {
        Some(svg) => format!(
            "<div class=\"sp-figure\" tabindex=\"0\" role=\"group\" aria-label=\"Picture of the trace\">\n{svg}\n</div>"
        ),
        None => "<p class=\"sp-quiet\">The trace has no events to draw.</p>".to_string(),
    }
}

/// The red box for something that is not recorded yet.
pub fn missing(what: &str) -> String {
    format!("<p class=\"sp-missing\">{}</p>", escape(what))
}

/// A fence that is longer than any in its body.
pub fn fence(language: &str, body: &str) -> String {
    let longest = body
        .lines()
        .map(|line| line.trim_start())
        .map(|line| line.len() - line.trim_start_matches('`').len())
        .max()
        .unwrap_or(0);
    let ticks = "`".repeat(longest.max(2) + 1);
    format!("{ticks}{language}\n{body}\n{ticks}")
}

/// Text for HTML, also in attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

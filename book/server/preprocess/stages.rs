//! The stage switch: one program under several stages, of which one is seen at a time.
//!
//! Without a script, and in print, all of them stand below each other, each under the name
//! of its stage. The script puts the switch above them and hides all but one.

use super::panel::escape;

/// The stages' names and their panels, in a box with this id.
pub fn write(id: &str, stages: &[(String, String)]) -> String {
    let mut out = format!("<div class=\"sp-stages\" id=\"{id}\">\n\n");
    for (index, (name, panel)) in stages.iter().enumerate() {
        let name = escape(name);
        out.push_str(&format!(
            "<section class=\"sp-stage\" aria-labelledby=\"{id}-{index}\" data-stage=\"{name}\">\n<p class=\"sp-stage-name\" id=\"{id}-{index}\">Under <code>{name}</code></p>\n\n{panel}\n</section>\n\n"
        ));
    }
    out.push_str("</div>\n");
    out
}

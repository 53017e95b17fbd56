#[path = "../solution.rs"]
mod m;
// ends as: refused, `path`

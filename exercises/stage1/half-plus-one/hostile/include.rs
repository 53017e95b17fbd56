include!("../solution.rs");
// ends as: refused, `include`

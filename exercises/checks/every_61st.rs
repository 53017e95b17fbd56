//! The learner's piece of `every-61st`. It stands alone, on a model: `schedule` is a hot
//! path.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/every_61st.rs"]
mod work;

fn main() {
    exercises::stage1::every_61st::attempt(work::look_first);
}

//! Three workers, one collector: channels with and without a buffer, and `select!`.
//!
//! The workers put their results into one channel and say on another that they are done.
//! The collector takes whatever comes first and parks when nothing is there.

use stage1_coop::{Chan, Runtime, STAGE, go, gofunc, prologue, select, spin};

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let results = Chan::new(2);
            let done = Chan::new(0);
            for (name, id) in [("worker_1", 1), ("worker_2", 2), ("worker_3", 3)] {
                let (results, done) = (results.clone(), done.clone());
                go(name, move || worker(id, &results, &done));
            }
            let mut working = 3;
            let mut sum = 0;
            while working > 0 {
                select! {
                    recv(results) -> n => sum += n.unwrap_or(0),
                    recv(done) -> id => {
                        println!("worker {} is done", id.unwrap_or(0));
                        working -= 1;
                    }
                }
            }
            results.close();
            sum += results.iter().sum::<u64>();
            println!("sum {sum}");
        });
    }
}

fn worker(id: u64, results: &Chan<u64>, done: &Chan<u64>) {
    for n in 1..=3 {
        work(10_000);
        results.send(100 * id + n);
    }
    done.send(id);
}

#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}

//! A little of everything, whose trace the tests follow.

use crate::{start, work};
use stage1_coop::*;
use std::sync::Arc;
use std::time::Duration;
use tests::Random;

crate::scenarios!(mixture);

/// A little of everything, for the trace.
fn mixture(_: &[String]) {
    fn raise_the_flag(me: &mut ThirdParty) {
        while me.sleep(Duration::from_micros(700)) {
            me.raise_the_flag();
        }
    }
    let runtime = Runtime::new(&STAGE).procs(2).third_party(raise_the_flag);
    start(runtime, || {
        let (c, mutex) = (Chan::new(2), Arc::new(Mutex::new(0_u64)));
        let all = WaitGroup::new();
        for id in 0..6 {
            all.add(1);
            let (c, mutex, all) = (c.clone(), mutex.clone(), all.clone());
            go("mixed", move || {
                let mut random = Random::new(id);
                for _ in 0..12 {
                    match random.below(6) {
                        0 => gosched(),
                        1 => select! {
                            send(c, id) => {},
                            recv(c) -> _ => {},
                        },
                        2 => {
                            let mut n = mutex.lock();
                            work(100_000);
                            *n += 1;
                        }
                        3 => {
                            lock_os_thread();
                            gosched();
                            unlock_os_thread();
                        }
                        4 => go("child", || {
                            work(50_000);
                        }),
                        _ => {
                            work(400_000);
                        }
                    }
                }
                all.done();
            });
        }
        // Somebody is always there to talk to.
        let serving = c.clone();
        go("server", move || {
            loop {
                select! {
                    send(serving, 9) => {},
                    recv(serving) -> _ => {},
                }
                gosched();
            }
        });
        all.wait();
    });
}

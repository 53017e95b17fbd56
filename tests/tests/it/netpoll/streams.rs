//! What is written arrives, once and in its order.

use super::connection;
use crate::fixture::stage2::on;
use stage2_sysmon::*;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

#[test]
fn a_stream_carries_megabytes_both_ways() {
    on(2, || {
        let (a, b) = connection();
        let (a, b) = (Arc::new(a), Arc::new(b));
        let done = WaitGroup::new();
        let bytes: Arc<Vec<u8>> = Arc::new((0..4_000_000_u32).map(|n| (n / 7) as u8).collect());
        for (out, back) in [(&a, &b), (&b, &a)] {
            done.add(2);
            let (out, back) = (out.clone(), back.clone());
            let (d, data) = (done.clone(), bytes.clone());
            go("writer", move || {
                (&*out).write_all(&data).expect("it is read");
                out.shutdown(Shutdown::Write).expect("it is open");
                d.done();
            });
            let (d, data) = (done.clone(), bytes.clone());
            go("reader", move || {
                let mut got = Vec::new();
                (&*back).read_to_end(&mut got).expect("it is written");
                assert!(got == *data);
                d.done();
            });
        }
        done.wait();
    });
}

#[test]
fn two_readers_of_one_pipe_share_what_comes() {
    for _ in 0..20 {
        let (count, errors) = on(2, || {
            let (reader, mut writer) = pipe().expect("a pipe");
            let reader = Arc::new(reader);
            let (count, errors) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let done = WaitGroup::new();
            for _ in 0..4 {
                done.add(1);
                let (reader, done) = (reader.clone(), done.clone());
                let (count, errors) = (count.clone(), errors.clone());
                go("reader", move || {
                    let mut byte = [0];
                    loop {
                        match (&*reader).read(&mut byte) {
                            Ok(0) => break,
                            Ok(n) => count.fetch_add(n, Relaxed),
                            Err(_) => errors.fetch_add(1, Relaxed),
                        };
                    }
                    done.done();
                });
            }
            for i in 0..500 {
                writer.write_all(&[7]).expect("room for a byte");
                if i % 8 == 0 {
                    gosched();
                }
            }
            drop(writer);
            done.wait();
            (count.load(Relaxed), errors.load(Relaxed))
        });
        assert_eq!((count, errors), (500, 0));
    }
}

#[test]
fn what_several_write_at_once_is_not_mixed() {
    on(2, || {
        let (mut reader, writer) = pipe().expect("a pipe");
        let writer = Arc::new(writer);
        let done = WaitGroup::new();
        for id in 0..4_u8 {
            done.add(1);
            let (writer, done) = (writer.clone(), done.clone());
            // Four times what a pipe takes at once.
            go("writer", move || {
                (&*writer)
                    .write_all(&vec![id; 256 << 10])
                    .expect("it is read");
                done.done();
            });
        }
        drop(writer);
        let mut got = Vec::new();
        reader.read_to_end(&mut got).expect("it is written");
        assert_eq!(got.len(), 1 << 20);
        for part in got.chunks(256 << 10) {
            assert!(part.iter().all(|b| *b == part[0]));
        }
        done.wait();
    });
}

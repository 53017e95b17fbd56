//! A server that sends back what it gets, and 64 clients: each writes as if the connection
//! would block, on two processors and a handful of threads.
//!
//! What the network does when is nobody's to say, so the schedule differs each time. What
//! comes out does not.

use stage2_sysmon::{Runtime, STAGE, TcpListener, TcpStream, WaitGroup, go};
use std::io::{Read, Write};

const CLIENTS: u8 = 64;
const ROUNDS: usize = 20;

fn main() {
    let runtime = Runtime::new(&STAGE).procs(2);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("a port");
            let addr = listener.local_addr().expect("its address");
            go("server", move || {
                while let Ok((stream, _)) = listener.accept() {
                    go("echo", move || {
                        echo(stream).expect("a client that ends well")
                    });
                }
            });
            let done = WaitGroup::new();
            for id in 0..CLIENTS {
                done.add(1);
                let done = done.clone();
                go("client", move || {
                    let stream = TcpStream::connect(addr).expect("a connection");
                    ask(stream, id).expect("an answer");
                    done.done();
                });
            }
            done.wait();
            println!("{CLIENTS} clients got {ROUNDS} answers each, and each its own");
        });
    }
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; 1024];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            n => stream.write_all(&bytes[..n])?,
        }
    }
}

fn ask(mut stream: TcpStream, id: u8) -> std::io::Result<()> {
    for _ in 0..ROUNDS {
        stream.write_all(&[id; 1024])?;
        let mut answer = [0; 1024];
        stream.read_exact(&mut answer)?;
        assert_eq!(answer, [id; 1024]);
    }
    Ok(())
}

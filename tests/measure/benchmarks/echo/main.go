// echo: what ours.rs does. 64 connections over the loopback, a goroutine for each
// end, all in this process. A client writes 1 KiB and reads 1 KiB back, again and again.
package main

import (
	"io"
	"net"
	"os"
	"sync"

	"safepoint/rows/internal/row"
)

const (
	connections = 64
	size        = 1024
	windows     = 4
	second      = 1_000_000_000
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			bytes := make([]byte, size)
			for {
				if _, err := io.ReadFull(conn, bytes); err != nil {
					conn.Close()
					return
				}
				must(conn.Write(bytes))
			}
		}()
	}
}

type sample struct{ at, took int64 }

// ask returns when each request came back, and how long it took, between two times.
func ask(conn net.Conn, begin, end int64) []sample {
	samples := make([]sample, 0, 1<<16)
	bytes := make([]byte, size)
	for {
		asked := row.Now()
		must(conn.Write(bytes))
		must(io.ReadFull(conn, bytes))
		at := row.Now()
		if at >= end {
			return samples
		}
		if at >= begin {
			samples = append(samples, sample{at, at - asked})
		}
	}
}

func main() {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	go serve(l)
	var conns [connections]net.Conn
	for i := range conns {
		conns[i] = must(net.Dial("tcp", l.Addr().String()))
	}
	begin := row.Now() + 3*second/10
	end := begin + windows*second
	var all [connections][]sample
	var done sync.WaitGroup
	done.Add(connections)
	for i := range conns {
		go func() {
			all[i] = ask(conns[i], begin, end)
			done.Done()
		}()
	}
	done.Wait()
	requests := make([]float64, windows)
	var latency []float64
	for _, samples := range all {
		for _, s := range samples {
			requests[(s.at-begin)/second]++
			latency = append(latency, float64(s.took)/1e3)
		}
	}
	row.Emit("echo", "requests_per_s", "1/s", requests...)
	row.Emit("echo", "latency", "us", latency...)
	if os.Getenv("BENCH_C") != "" {
		// The loop in C is compared with the same figures.
		row.Emit("echo_c", "requests_per_s", "1/s", requests...)
		row.Emit("echo_c", "latency", "us", latency...)
	}
}

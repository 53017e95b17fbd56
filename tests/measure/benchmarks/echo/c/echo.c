// echo: what the machine can do without a runtime. The work of ../ours.rs, by two threads
// that each turn an epoll loop over both ends of half of the connections. It prints a line
// for each metric, as the other programs do.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 64, SIZE = 1024, WINDOWS = 4, THREADS = 2, ROOM = 1 << 21 };

// One end of a connection.
struct end {
    int fd, client;
    size_t have;
    int64_t asked;
    char bytes[SIZE];
};

struct loop {
    pthread_t thread;
    int epoll;
    struct end ends[2 * CONNECTIONS / THREADS];
    double *late;
    size_t n, requests[WINDOWS];
};

static struct loop loops[THREADS];
static int64_t begin, end;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void must(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static void send_all(struct end *e) {
    // A kilobyte always fits: the other end reads before it answers.
    must(write(e->fd, e->bytes, SIZE) == SIZE, "write");
}

// The end is readable: reads what is there, and answers or asks again when it is whole.
static void turn(struct loop *l, struct end *e) {
    for (;;) {
        ssize_t n = read(e->fd, e->bytes + e->have, SIZE - e->have);
        if (n < 0 && errno == EAGAIN)
            return;
        must(n > 0, "read");
        e->have += n;
        if (e->have < SIZE)
            continue;
        e->have = 0;
        if (e->client) {
            int64_t t = now();
            if (t >= begin && t < end && l->n < ROOM) {
                l->late[l->n++] = (t - e->asked) / 1e3;
                l->requests[(t - begin) / 1000000000]++;
            }
            e->asked = t;
        }
        send_all(e);
        // Nothing more is under way until the other end has read that.
        return;
    }
}

static void *run(void *arg) {
    struct loop *l = arg;
    struct epoll_event events[128];
    for (int i = 0; i < 2 * CONNECTIONS / THREADS; i++)
        if (l->ends[i].client) {
            l->ends[i].asked = now();
            send_all(&l->ends[i]);
        }
    while (now() < end) {
        int n = epoll_wait(l->epoll, events, 128, 100);
        for (int i = 0; i < n; i++)
            turn(l, events[i].data.ptr);
    }
    return NULL;
}

static void add(struct loop *l, int i, int fd, int client) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct end *e = &l->ends[i];
    e->fd = fd;
    e->client = client;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = e};
    must(epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static int smaller(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void emit(const char *metric, const char *unit, double *s, size_t n) {
    must(n > 0, "no samples");
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += s[i];
    qsort(s, n, sizeof *s, smaller);
    printf("{\"bench\":\"echo_c\",\"metric\":\"%s\",\"unit\":\"%s\",\"procs\":%d,\"min\":%g,\"p50\":%g,"
           "\"p99\":%g,\"max\":%g,\"mean\":%g,\"n\":%zu}\n",
           metric, unit, THREADS, s[0], s[(n + 1) / 2 - 1], s[(n * 99 + 99) / 100 - 1], s[n - 1], sum / n, n);
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    must(listener >= 0 && bind(listener, (struct sockaddr *)&at, sizeof at) == 0, "bind");
    must(listen(listener, CONNECTIONS) == 0, "listen");
    must(getsockname(listener, (struct sockaddr *)&at, &len) == 0, "getsockname");
    for (int t = 0; t < THREADS; t++) {
        loops[t].epoll = epoll_create1(EPOLL_CLOEXEC);
        loops[t].late = malloc(ROOM * sizeof(double));
        must(loops[t].epoll >= 0 && loops[t].late != NULL, "epoll_create1");
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        must(connect(client, (struct sockaddr *)&at, sizeof at) == 0, "connect");
        int server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        must(server >= 0, "accept");
        must(fcntl(client, F_SETFL, O_NONBLOCK) == 0, "fcntl");
        struct loop *l = &loops[i % THREADS];
        add(l, i / THREADS * 2, client, 1);
        add(l, i / THREADS * 2 + 1, server, 0);
    }
    begin = now() + 300000000;
    end = begin + WINDOWS * INT64_C(1000000000);
    for (int t = 0; t < THREADS; t++)
        must(pthread_create(&loops[t].thread, NULL, run, &loops[t]) == 0, "pthread_create");
    double requests[WINDOWS] = {0};
    size_t n = 0;
    for (int t = 0; t < THREADS; t++) {
        pthread_join(loops[t].thread, NULL);
        for (int w = 0; w < WINDOWS; w++)
            requests[w] += loops[t].requests[w];
        n += loops[t].n;
    }
    double *late = malloc(n * sizeof *late), *to = late;
    must(late != NULL, "malloc");
    for (int t = 0; t < THREADS; t++)
        for (size_t i = 0; i < loops[t].n; i++)
            *to++ = loops[t].late[i];
    emit("requests_per_s", "1/s", requests, WINDOWS);
    emit("latency", "us", late, n);
    return 0;
}

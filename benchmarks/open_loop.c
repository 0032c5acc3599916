/*
 * Latency at a fixed rate: see open_loop.py, which builds and runs this. In C, since the program itself has to answer
 * for every microsecond that it adds: 40,000 requests a second leave 25 for each, of which Python takes 20 and this 4.
 *
 *     open_loop HOST PORT FILE RATE SECONDS CONNECTIONS
 */

#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How long answers may take to come in after the last request fell due. */
#define PATIENCE_S 10.0

#define MOST_EVENTS 256

/* One connection with at most one request under way; opened again when the server closes it. */
struct connection {
    int socket;
    int asked;        /* a request is under way */
    int begun;        /* the head of its answer has come */
    int64_t missing;  /* bytes of the answer */
    double due;
};

struct request {
    const char *text;
    size_t size;
};

static struct addrinfo *address;
static int events;
static char received[1 << 18];

static void
fail(const char *what)
{
    fprintf(stderr, "open_loop: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double
read_clock(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static double
now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static void *
room(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL) {
        fail("memory");
    }
    return memory;
}

/* The requests of a file: heads without bodies, each with its empty line. */
static struct request *
read_requests(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) < 0) {
        fail(path);
    }
    size_t size = (size_t)ftell(file);
    char *text = room(size + 1), *end;
    rewind(file);
    if (fread(text, 1, size, file) != size) {
        fail(path);
    }
    fclose(file);
    struct request *requests = room((size / 4 + 1) * sizeof *requests);
    *count = 0;
    for (char *at = text; (end = memmem(at, (size_t)(text + size - at), "\r\n\r\n", 4)) != NULL; at = end + 4) {
        requests[(*count)++] = (struct request){at, (size_t)(end + 4 - at)};
    }
    return requests;
}

static void
open_connection(struct connection *connection)
{
    int one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->socket = socket(address->ai_family, SOCK_STREAM, 0);
    connection->asked = connection->begun = 0;
    if (connection->socket < 0 || connect(connection->socket, address->ai_addr, address->ai_addrlen) < 0
        || setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0
        || epoll_ctl(events, EPOLL_CTL_ADD, connection->socket, &event) < 0) {
        fail("connect");
    }
}

static void
ask(struct connection *connection, struct request request)
{
    /* A connection that was closed while it was idle, which we have not read yet, is opened once more. */
    for (int is_last = 0;; is_last = 1) {
        ssize_t sent = send(connection->socket, request.text, request.size, MSG_NOSIGNAL);
        if (sent == (ssize_t)request.size) {
            connection->asked = 1;
            return;
        }
        if (is_last || (errno != EPIPE && errno != ECONNRESET)) {
            fail("send");
        }
        close(connection->socket);
        open_connection(connection);
    }
}

/* Bytes of the whole answer, going by its first piece; the head of an answer comes in one piece. */
static int64_t
answer_size(const char *first, size_t size)
{
    static const char NAME[] = "\r\nContent-Length:";
    const char *end = memmem(first, size, "\r\n\r\n", 4);
    for (const char *at = first; end != NULL && at < end; at++) {
        at = memchr(at, '\r', (size_t)(end - at));
        if (at == NULL) {
            break;
        }
        if (strncasecmp(at, NAME, sizeof NAME - 1) == 0) {
            return end + 4 - first + strtoll(at + sizeof NAME - 1, NULL, 10);
        }
    }
    fprintf(stderr, "open_loop: an answer without Content-Length: %.200s\n", first);
    exit(1);
}

static int
compare(const void *one, const void *other)
{
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

/* Without any answer no time is known, and JSON as Python reads it says so. */
static void
print_share(const char *name, const float *sorted, size_t count, double share)
{
    size_t place = (size_t)((double)count * share);
    if (count == 0) {
        printf("\"%s\": Infinity, ", name);
    }
    else {
        printf("\"%s\": %.3f, ", name, (double)sorted[place < count ? place : count - 1] * 1e3);
    }
}

int
main(int count, char **arguments)
{
    if (count != 7) {
        fputs("open_loop HOST PORT FILE RATE SECONDS CONNECTIONS\n", stderr);
        return 2;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    if (getaddrinfo(arguments[1], arguments[2], &hints, &address) != 0) {
        fail("address");
    }
    size_t known, sent = 0, answered = 0, bad = 0;
    struct request *requests = read_requests(arguments[3], &known);
    double rate = strtod(arguments[4], NULL), seconds = strtod(arguments[5], NULL);
    size_t connections = strtoul(arguments[6], NULL, 10), most = (size_t)(rate * seconds * 1.2) + 10000;
    if (known == 0 || connections == 0 || !(rate > 0)) {
        fputs("open_loop: nothing to ask for\n", stderr);
        return 2;
    }
    float *spent = room(most * sizeof *spent);
    memset(spent, 0, most * sizeof *spent);  /* no page is met first while it is measured */
    struct connection *all = room(connections * sizeof *all), **line = room(connections * sizeof *line);
    size_t first = 0, idle = connections;  /* those without a request stand in line, round and round */
    events = epoll_create1(0);
    for (size_t n = 0; n < connections; n++) {
        open_connection(&all[n]);
        line[n] = &all[n];
    }
    srand48(1);

    double start = now(), due = start, end = start + seconds, at = start, busy = 0;
    double own = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    while (at < end + PATIENCE_S && (due < end || idle < connections)) {
        int did = 0;
        while (due <= at && due < end && idle > 0) {
            struct connection *connection = line[first];
            first = (first + 1) % connections;
            idle--;
            ask(connection, requests[sent++ % known]);
            connection->due = due;
            due -= log(1.0 - drand48()) / rate;
            did = 1;
        }
        struct epoll_event ready[MOST_EVENTS];
        int found = epoll_wait(events, ready, MOST_EVENTS, 0);
        for (int n = 0; n < found; n++) {
            struct connection *connection = ready[n].data.ptr;
            ssize_t size = recv(connection->socket, received, sizeof received - 1, MSG_DONTWAIT);
            did = 1;
            if (size < 0 && errno == EAGAIN) {
                continue;
            }
            if (size <= 0) {  /* closed; what was under way stays unanswered */
                close(connection->socket);
                if (connection->asked) {
                    line[(first + idle++) % connections] = connection;
                }
                open_connection(connection);
                continue;
            }
            if (!connection->begun) {
                received[size] = '\0';
                connection->begun = 1;
                bad += strncmp(received, "HTTP/1.1 200 ", 13) != 0;
                connection->missing = answer_size(received, (size_t)size);
            }
            connection->missing -= size;
            if (connection->missing <= 0) {
                if (answered < most) {
                    spent[answered++] = (float)(now() - connection->due);
                }
                connection->asked = connection->begun = 0;
                line[(first + idle++) % connections] = connection;
            }
        }
        double then = now();
        if (did) {
            busy += then - at;
        }
        at = then;
    }
    own = read_clock(CLOCK_PROCESS_CPUTIME_ID) - own;
    qsort(spent, answered, sizeof *spent, compare);
    printf("{\"rate\": %.1f, \"answered\": %zu, \"unanswered\": %zu, \"bad\": %zu, ", (double)answered / seconds,
           answered, sent - answered, bad);
    print_share("p50_ms", spent, answered, 0.5);
    print_share("p90_ms", spent, answered, 0.9);
    print_share("p99_ms", spent, answered, 0.99);
    print_share("p999_ms", spent, answered, 0.999);
    print_share("max_ms", spent, answered, 1.0);
    printf("\"own_us\": %.2f, \"busy\": %.3f, \"had_core\": %.3f}\n",
           sent > 0 ? busy / (double)sent * 1e6 : 0.0, busy / (at - start), own / (at - start));
    return 0;
}

/* Accepting, and one look at what has come already; it is not read before it is answered. */

#define _GNU_SOURCE /* accept4 */
#include "door.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST_ABORTED 16 /* so many in a row have left before they came in */
#define MOST_UNREAD 16  /* packets that are thrown away at the end: a last request, and what came behind it */

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
} Name;

static void
take_address(Guest *guest, const Name *name)
{
    guest->address_size = 0;
    guest->is_local = name->any.sa_family == AF_UNIX;
    if (name->any.sa_family == AF_INET) {
        guest->address_size = 4;
        memcpy(guest->address, &name->v4.sin_addr, 4);
    } else if (name->any.sa_family == AF_INET6) {
        int is_mapped = IN6_IS_ADDR_V4MAPPED(&name->v6.sin6_addr);
        guest->address_size = is_mapped ? 4 : 16;
        memcpy(guest->address, name->v6.sin6_addr.s6_addr + (is_mapped ? 12 : 0), guest->address_size);
    }
}

/* 0: it cannot be accepted because its client has left (accept(2) names many errors for that). */
static int
is_ours(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EBADF
           || error == EINVAL || error == ENOTSOCK;
}

int
let_in(int listener, Guest *guest)
{
    for (int n = 0; n < MOST_ABORTED; n++) {
        Name name = {.any = {.sa_family = AF_UNSPEC}};
        socklen_t size = sizeof(name);
        guest->descriptor = accept4(listener, &name.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (guest->descriptor >= 0) {
            take_address(guest, &name);
            ssize_t got = recv(guest->descriptor, guest->data, PACKET_BYTES, MSG_PEEK);
            guest->size = got < 0 ? 0 : (size_t)got;
            return 1;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        }
        if (is_ours(errno)) {
            return -1;
        }
    }
    return 0;
}

static int
is_within(const Network *network, const Guest *guest)
{
    size_t whole = network->bits / 8u;
    unsigned int rest = network->bits % 8u;
    return network->size == guest->address_size && memcmp(network->address, guest->address, whole) == 0
           && (rest == 0 || (network->address[whole] ^ guest->address[whole]) >> (8 - rest) == 0);
}

int
is_proxy(const Network *networks, size_t count, const Guest *guest)
{
    for (size_t n = 0; n < count; n++) {
        if (is_within(&networks[n], guest)) {
            return 1;
        }
    }
    return guest->is_local;
}

int
is_loopback(const Guest *guest)
{
    static const unsigned char v6[16] = {[15] = 1};
    return guest->address_size == 4 ? guest->address[0] == 127 : memcmp(guest->address, v6, 16) == 0;
}

void
say_goodbye(int descriptor)
{
    char unread[PACKET_BYTES];
    for (int n = 0; n < MOST_UNREAD; n++) {
        if (recv(descriptor, unread, sizeof(unread), MSG_DONTWAIT) < (ssize_t)sizeof(unread)) {
            break;
        }
    }
    close(descriptor);
}

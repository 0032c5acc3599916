/* Who comes in: connections that the kernel has accepted, and nobody has met yet. */

#ifndef REDIRECTOR_DOOR_H
#define REDIRECTOR_DOOR_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define PACKET_BYTES 4096 /* what is looked at; a plain request is shorter */

typedef struct {
    int descriptor;
    unsigned char address[16];
    size_t address_size; /* 4, 16, IPv4-mapped ones unwrapped; 0: it has none, as on a unix socket, or none is known */
    int is_local;        /* it came through a unix socket */
    size_t size;         /* of what it has sent so far, which is still to be read */
    char data[PACKET_BYTES];
} Guest;

/* Networks of proxies, one behind the other. */
typedef struct {
    unsigned char size, bits; /* of the address, 4 or 16; of the prefix */
    unsigned char address[16];
} Network;

/* 1: *guest* has come in; 0: nobody waits, or whoever waited has left; -1: `errno` says why nobody can come in for now. */
int let_in(int listener, Guest *guest);

/* Whether *guest* may say for whom it speaks; 1 or 0. */
int is_proxy(const Network *networks, size_t count, const Guest *guest);

/* Whether *guest*, who is a proxy, speaks for itself when it names nobody. */
int is_loopback(const Guest *guest);

/* The end of a connection whose only answer the kernel has: what nobody has read would make a reset of it. */
void say_goodbye(int descriptor);

#endif

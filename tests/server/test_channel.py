"""Messages between processes."""

from __future__ import annotations

import os
import socket

import pytest

from redirector.server.between.channel import MAX_DESCRIPTORS, Channel, make_pair


def test_messages_keep_their_order_and_bounds_whatever_their_size() -> None:
    kept, given = make_pair()
    with kept, given:
        sender, receiver = Channel(given), Channel(kept)
        sent: list[object] = ["short", b"x" * 5_000_000, ("a", 1), ""]
        for message in sent:
            sender.send(message)
        got = [receiver.receive() for _ in sent]
        assert [received.message for received in got if received] == sent


def test_descriptors_travel_with_their_message() -> None:
    kept, given = make_pair()
    with kept, given, open(os.devnull, "rb") as file:
        for message in ("short", b"x" * 100_000):
            Channel(given).send(message, [file.fileno()] * (MAX_DESCRIPTORS - 1))
            received = Channel(kept).receive()
            assert received is not None and received.message == message
            assert [os.path.samestat(os.fstat(each), os.fstat(file.fileno())) for each in received.descriptors] == (
                [True] * (MAX_DESCRIPTORS - 1)
            )
            for each in received.descriptors:
                os.close(each)


def test_an_empty_channel_and_a_closed_one_are_told_apart() -> None:
    kept, given = make_pair()
    with kept:
        with given:
            with pytest.raises(BlockingIOError):
                Channel(kept).receive()
        assert Channel(kept).receive() is None
        with pytest.raises(OSError):
            Channel(kept).send("anybody?")


async def test_waiting_for_a_message_ends_with_the_other_side() -> None:
    kept, given = make_pair(socket.SOCK_SEQPACKET)
    with kept:
        with given:
            Channel(given).send("last words")
        received = await Channel(kept).receive_soon()
        assert received is not None and received.message == "last words"
        assert await Channel(kept).receive_soon() is None

"""What was published and kept, and whether what a client was told is in accord with it.

The append-only file is the witness: it holds every entry of every stream with its id, how
many the stream keeps, and when it expires, in the order in which it happened. From it
follows for each event at which millisecond it was no longer to be had.
"""

import bisect
import hashlib
import json
import math

NEVER = math.inf
CLOCK_SLACK_MS = 20  # Redis looks at its clock once a turn


def parse_id(text):
    ms, _, sequence = text.partition("-")
    return int(ms), int(sequence)


def digest(event):
    """Of an event without its id; the text is long at times, and heard by many."""
    bare = {name: value for name, value in event.items() if name != "id"}
    return hashlib.blake2b(json.dumps(bare).encode(), digest_size=12).hexdigest()


class Kept:
    """One event of a channel: its id, its digest, and when it was gone."""

    __slots__ = ("id", "text", "digest", "gone_ms")

    def __init__(self, text, event):
        self.id, self.text, self.digest, self.gone_ms = parse_id(text), text, digest(event), NEVER


class Channel:
    """All that a channel ever had, in order; `kept` is what is left of it."""

    def __init__(self):
        self.events, self.kept, self.expires_ms = [], [], NEVER

    def _gone(self, count, at_ms):
        for event in self.kept[:count]:
            event.gone_ms = min(event.gone_ms, at_ms)
        del self.kept[:count]

    def add(self, text, event, most):
        kept = Kept(text, event)
        assert not self.events or self.events[-1].id < kept.id, f"{text} is not in order"
        self.events.append(kept)
        self.kept.append(kept)
        self._gone(max(0, len(self.kept) - most), kept.id[0])

    def expire(self, at_ms):
        self.expires_ms = at_ms

    def delete(self):
        self._gone(len(self.kept), self.expires_ms)
        self.expires_ms = NEVER

    def close(self):
        """No more comes: what expires is known."""
        for event in self.kept:
            event.gone_ms = min(event.gone_ms, self.expires_ms)

    def between(self, after, upto):
        """Events behind the id `after` (None: from the first) up to the id `upto`."""
        first = 0 if after is None else bisect.bisect_right(self.events, after, key=lambda e: e.id)
        return self.events[first : bisect.bisect_right(self.events, upto, key=lambda e: e.id)]


def commands(data):
    """The commands of an append-only file, as lists of bytes. A last one that is cut off,
    as kill -9 leaves it, is left out."""
    at = 0
    while at < len(data):
        end = data.find(b"\r\n", at)
        if end < 0:
            return
        if data[at : at + 1] != b"*":
            at = end + 2  # an annotation
            continue
        count, at, words = int(data[at + 1 : end]), end + 2, []
        for _ in range(count):
            end = data.find(b"\r\n", at)
            if end < 0:
                return
            size = int(data[at + 1 : end])
            at = end + 2 + size + 2
            if at > len(data):
                return
            words.append(data[at - size - 2 : at - 2])
        yield words


class Truth:
    """channels: name → Channel, read from a Redis data folder."""

    def __init__(self, prefix="ringback:ch"):
        self.prefix, self.channels = f"{prefix}:{{".encode(), {}

    def read(self, folder):
        for file in sorted(folder.glob("appendonlydir/*.incr.aof"),
                           key=lambda path: int(path.name.split(".")[-3])):  # fmt: skip
            self.take(file.read_bytes())
        self.close()
        return self

    def close(self):
        for channel in self.channels.values():
            channel.close()

    def take(self, data):
        for words in commands(data):
            verb = words[0].upper()
            if verb in (b"XADD", b"PEXPIREAT", b"DEL", b"UNLINK"):
                keys = words[1:] if verb in (b"DEL", b"UNLINK") else words[1:2]
                for key in keys:
                    if key.startswith(self.prefix) and key.endswith(b"}"):
                        name = key[len(self.prefix) : -1].decode()
                        self._apply(self.channels.setdefault(name, Channel()), verb, words)

    @staticmethod
    def _apply(channel, verb, words):
        if verb == b"PEXPIREAT":
            channel.expire(int(words[2]))
        elif verb != b"XADD":
            channel.delete()
        else:
            assert words[2].upper() == b"MAXLEN" and words[3] == b"=", words[:5]
            fields = dict(zip(words[6::2], words[7::2]))
            channel.add(words[5].decode(), json.loads(fields[b"e"]), int(words[4]))

    def lost(self, acknowledged):
        """Publications that were acknowledged, as (channel, id), and are not there."""
        ids = {name: {e.text for e in channel.events} for name, channel in self.channels.items()}
        return [(name, id) for name, id in acknowledged if id not in ids.get(name, ())]


class Heard:
    """What one client was told on one channel, in its order. `at` is its cursor."""

    def __init__(self, now_ms):
        self._now_ms, self.at, self.told = now_ms, None, []

    def take(self, event):
        if event["event"] == "gap":
            self.told.append(("gap", event["id"], event["since"], event["first"], self._now_ms()))
        else:
            self.told.append(("event", event["id"], digest(event), None, self._now_ms()))
        self.at = event["id"]


class Verdict:
    """Goes through what clients heard: `wrong` says in sentences what must not be."""

    def __init__(self, truth):
        self.truth, self.wrong = truth, []
        self.events = self.gaps = self.missed = 0

    def check(self, who, name, heard):
        """heard.told against the channel's truth, up to the last event of the channel."""
        channel = self.truth.channels.get(name, Channel())
        at = None  # where the client stands: nothing heard yet
        for kind, text, more, first, now_ms in heard.told:
            try:
                told = parse_id(text)
            except ValueError:
                self._say(who, name, f"{kind} with the id {text!r}")
                return
            missing = channel.between(at, told)
            if kind == "gap":
                self._gap(who, name, at, told, more, first)
                self.gaps += 1
                self.missed += len(missing)
            elif self._event(who, name, channel, at, told, more):
                missing.pop()
                if missing and at is not None:
                    self._say(who, name, f"{text} came right behind {show(at)}: "
                              f"{len(missing)} between were skipped in silence")  # fmt: skip
                self.events += 1
            else:
                return
            self._were_gone(who, name, missing, now_ms)
            at = told
        last = channel.events[-1].id if channel.events else None
        if at != last:
            left = channel.between(at, last) if last else []
            if at is not None or any(event.gone_ms == NEVER for event in left):
                self._say(who, name, f"stands at {show(at)} at the end, the last is {show(last)}")

    def _event(self, who, name, channel, at, told, more):
        if at is not None and told <= at:
            self._say(who, name, f"{show(told)} came behind {show(at)}: again, or out of order")
            return False
        here = channel.between(None, told)
        if not here or here[-1].id != told:
            self._say(who, name, f"{show(told)} was never published")
            return False
        if here[-1].digest != more:
            self._say(who, name, f"{show(told)} is not what was published")
            return False
        return True

    def _gap(self, who, name, at, told, since, first):
        channel = self.truth.channels.get(name, Channel())
        if at is None or parse_id(since) != at:
            self._say(who, name, f"a gap since {since}, but it stood at {show(at)}")
        if at is not None and not channel.between(at, told):
            self._say(who, name, f"a gap from {show(at)} to {show(told)}, but nothing was there")
        if first is not None:
            upto = channel.between(told, parse_id(first))
            if [event.text for event in upto] != [first]:
                self._say(who, name, f"a gap to {show(told)}, but {first} is not the next one")

    def _were_gone(self, who, name, missing, now_ms):
        kept = [event for event in missing if event.gone_ms > now_ms + CLOCK_SLACK_MS]
        if kept:
            self._say(who, name, f"{len(kept)} events from {kept[0].text} on were left out at "
                      f"{now_ms:.0f}, but they were kept until {kept[0].gone_ms}")  # fmt: skip

    def _say(self, who, name, sentence):
        self.wrong.append(f"{who} on {name}: {sentence}")


def show(id):
    return "nothing" if id is None else f"{id[0]}-{id[1]}"

"""Broken files, made from good ones: cut, flipped, grown, and records with values that nobody would write."""

import copy
import io
import json
import random
import zipfile

from tests.sizes import share

ODD = (
    *(None, True, False, 0, -1, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, float("nan"), float("inf")),
    *("", " ", "\x00", "\ud800", "‮evil", "../../../etc/passwd", "/etc/passwd", "C:\\x", "=1+1", "<script>alert(1)</script>"),
    *("x" * 5000, "9" * 5000, "1e999", "nan", "None", "'; DROP TABLE studies; --", "{{7*7}}", "${jndi:x}"),
    *([], {}, [[]], [None], {"": ""}, ["x"] * 300, {"__class__": "x"}),
)
"""Values where another one is expected."""
BYTES = (b"", b"\x00", b"\xff" * 64, b"\r\n", b'"', b"[" * 9000, b"PK\x03\x04", b"\x80\x04", b",;\t", b"\xef\xbb\xbf", b"-" * 400)


def broken(good, chance):
    """One to three changes of bytes."""
    data = bytearray(good)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(8)
        if kind == 0:
            del data[place:]
        elif kind == 1:
            del data[place : place + chance.randint(1, 200)]
        elif kind == 2:
            data[place:place] = chance.choice(BYTES)
        elif kind == 3:
            for _ in range(chance.randint(1, 40)):
                if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
        elif kind == 4:
            data[place:place] = data[: chance.randint(1, 2000)]
        elif kind == 5:
            data[place : place + 8] = chance.choice((b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7))
        elif kind == 6:
            data[:place] = data[place : 2 * place]
        else:
            data[place:place] = chance.randbytes(chance.randint(1, 300))
    return bytes(data)


def nested(depth):
    """Lists in lists, as JSON."""
    return "[" * depth + "]" * depth


def odd(chance):
    """One of ODD, which nobody else holds."""
    return copy.deepcopy(chance.choice(ODD))


def odd_record(good, chance):
    """A record with one to three of its values changed, gone or where they do not belong."""
    record = copy.deepcopy(good)
    for _ in range(chance.randint(1, 3)):
        holder, key = chance.choice(list(_places(record)) or [(None, None)])
        if holder is None:
            return odd(chance)
        kind = chance.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[chance.choice(("", "x", "__init__", "name"))] = odd(chance)
        else:
            holder[key] = odd(chance)
    return record


def _places(value):
    """(holder, key) of everything inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


def odd_json(good, chance):
    """The bytes of a record: odd, or no JSON at all."""
    if chance.random() < 0.2:
        return broken(json.dumps(good).encode(), chance)
    if chance.random() < 0.05:
        return nested(chance.choice((50, 5000, 200_000))).encode()
    return json.dumps(odd_record(good, chance)).encode()


def rezipped(good, change):
    """A zip file whose files went through ``change(path, content)`` -> content or None."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(buffer, "w") as new:
        for path in old.namelist():
            content = change(path, old.read(path))
            if content is not None:
                new.writestr(path, content)
    return buffer.getvalue()


def chances(count, name):
    """Generators of chance for a share of ``count`` cases, the same ones in every run."""
    return [random.Random(f"{name}/{number}") for number in range(share(count))]
